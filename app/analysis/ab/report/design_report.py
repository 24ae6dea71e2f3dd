"""The report of a plan: executive summary, design, metrics, risks and what to do before, during and after the test."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase

from app.analysis.ab.answer import Rounded4
from app.analysis.ab.plan.calculation import Calculation, calculate
from app.analysis.ab.plan.guardrails import GuardrailPlan, plan_guardrail
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.report import texts
from app.analysis.ab.report.description import Description


@dataclass(frozen=True)
class ReportCalculations:
    """The figures of the plan that the report rests on."""

    sample_size_per_variant: int
    total_sample_size: int
    estimated_duration_days: int
    assumptions: tuple[str, ...]
    design_effect: Rounded4 | None
    clusters_per_variant: int | None


@dataclass(frozen=True)
class Variant:
    """One arm: A is control."""

    name: str
    description: str


@dataclass(frozen=True)
class ExperimentDesign:
    """Who gets what, for how long, and when to stop."""

    variants: tuple[Variant, ...]
    randomization_unit: str
    traffic_split: tuple[float, ...]
    target_audience: str
    inclusion_criteria: str
    exclusion_criteria: str
    recommended_duration_days: int
    stopping_conditions: tuple[str, ...]


@dataclass(frozen=True)
class MetricsPlan:
    """What to measure, by role."""

    primary: tuple[str, ...]
    secondary: tuple[str, ...]
    guardrail: tuple[str, ...]
    diagnostic: tuple[str, ...]


@dataclass(frozen=True)
class Risks:
    """What may go wrong, by kind."""

    statistical: tuple[str, ...]
    product: tuple[str, ...]
    technical: tuple[str, ...]
    operational: tuple[str, ...]


@dataclass(frozen=True)
class Recommendations:
    """What to do, by time."""

    before_launch: tuple[str, ...]
    during_test: tuple[str, ...]
    after_test: tuple[str, ...]


@dataclass(frozen=True)
class DesignReport:
    """The whole report."""

    executive_summary: str
    calculations: ReportCalculations
    experiment_design: ExperimentDesign
    metrics_plan: MetricsPlan
    guardrail_metrics: tuple[GuardrailPlan, ...]
    risks: Risks
    recommendations: Recommendations
    open_questions: tuple[str, ...]


def design_report(request: PlanRequest, description: Description) -> DesignReport:
    """Plan the experiment and tell the plan in words.

    >>> request = PlanRequest(metric_type="binary", baseline_value=0.1, mde_pct=10, expected_daily_traffic=4000,
    ...     audience_share_in_test=0.5, traffic_split=(50, 50), variants_count=2)
    >>> report = design_report(request, Description(primary_metric="signups"))
    >>> print(report.executive_summary)
    To detect a relative change of 10 % in signups, each of 2 variants needs 14751 persons, which takes 15 days.
    """
    plan = calculate(request)
    n, days = plan.results.sample_size_per_variant, plan.results.estimated_duration_days
    return DesignReport(
        executive_summary=texts.summary(request, description.primary_metric, n, days),
        calculations=ReportCalculations(
            sample_size_per_variant=n,
            total_sample_size=plan.results.total_sample_size,
            estimated_duration_days=days,
            assumptions=plan.assumptions,
            design_effect=plan.design_effect,
            clusters_per_variant=plan.clusters_per_variant,
        ),
        experiment_design=_design(request, description, days),
        metrics_plan=MetricsPlan(
            primary=(description.primary_metric,),
            secondary=description.secondary_metrics,
            guardrail=tuple(guardrail.name for guardrail in description.guardrails),
            diagnostic=texts.DIAGNOSTIC,
        ),
        guardrail_metrics=tuple(
            plan_guardrail(guardrail, n, request.alpha, request.power, request.variants_count)
            for guardrail in description.guardrails
        ),
        risks=_risks(plan, description),
        recommendations=Recommendations(
            before_launch=texts.before_launch(request),
            during_test=texts.during_test(request),
            after_test=texts.after_test(request),
        ),
        open_questions=texts.open_questions(request, description),
    )


def _design(request: PlanRequest, description: Description, days: int) -> ExperimentDesign:
    change = description.change or "the change"
    arms = [Variant("A", "Control: what there is today")] + [
        Variant(ascii_uppercase[i], f"Treatment: {change}") for i in range(1, request.variants_count)
    ]
    return ExperimentDesign(
        variants=tuple(arms),
        randomization_unit=description.randomization_unit,
        traffic_split=request.traffic_split,
        target_audience=description.target_audience,
        inclusion_criteria=description.inclusion_criteria,
        exclusion_criteria=description.exclusion_criteria,
        recommended_duration_days=texts.whole_weeks(days),
        stopping_conditions=texts.stopping_conditions(request),
    )


def _risks(plan: Calculation, description: Description) -> Risks:
    return Risks(
        statistical=tuple(warning.message for warning in plan.warnings),
        product=texts.given(description.interference_risk, description.known_risks),
        technical=texts.given(description.technical_constraints),
        operational=texts.given(description.legal_or_ethics_constraints, description.deadline_pressure),
    )
