"""A plan in words: every field of the contract, texts by rule."""

from __future__ import annotations

import json
from typing import Any

from app.analysis.ab.answer import to_answer
from app.analysis.ab.plan.guardrails import Guardrail
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.report.description import Description
from app.analysis.ab.report.design_report import DesignReport, design_report


def report(description: dict[str, Any] | None = None, **changes: Any) -> DesignReport:
    given: dict[str, Any] = {
        "metric_type": "binary",
        "baseline_value": 0.1,
        "mde_pct": 10,
        "expected_daily_traffic": 4000,
        "audience_share_in_test": 0.5,
        "traffic_split": (50, 50),
        "variants_count": 2,
    }
    return design_report(PlanRequest(**(given | changes)), Description(primary_metric="signups", **(description or {})))


def test_a_report_has_the_fields_of_the_contract() -> None:
    guardrails = (
        Guardrail("errors", "binary", baseline_rate=10.0),
        Guardrail("refunds", "continuous", baseline_mean=18.0, std_dev=6.5),
    )
    found = to_answer(report({"guardrails": guardrails}, randomization_unit="cluster", avg_cluster_size=10, icc=0.01))
    json.dumps(found, allow_nan=False)
    assert set(found) == {
        "executive_summary", "calculations", "experiment_design", "metrics_plan", "guardrail_metrics", "risks",
        "recommendations", "open_questions",
    }  # fmt: skip
    assert set(found["calculations"]) - {"precise"} == {
        "sample_size_per_variant", "total_sample_size", "estimated_duration_days", "assumptions", "design_effect",
        "clusters_per_variant",
    }  # fmt: skip
    assert set(found["experiment_design"]) == {
        "variants", "randomization_unit", "traffic_split", "target_audience", "inclusion_criteria",
        "exclusion_criteria", "recommended_duration_days", "stopping_conditions",
    }  # fmt: skip
    assert set(found["metrics_plan"]) == {"primary", "secondary", "guardrail", "diagnostic"}
    assert set(found["risks"]) == {"statistical", "product", "technical", "operational"}
    assert set(found["recommendations"]) == {"before_launch", "during_test", "after_test"}
    first, second = found["guardrail_metrics"]
    assert set(first) - {"precise"} == {
        "name", "metric_type", "baseline", "detectable_mde_pp", "detectable_mde_absolute", "note",
    }  # fmt: skip
    assert (first["detectable_mde_absolute"], second["detectable_mde_pp"]) == (None, None)
    assert found["metrics_plan"]["guardrail"] == ["errors", "refunds"]


def test_variants_are_named_from_control_on() -> None:
    found = report({"change": "one page instead of three"}, traffic_split=(1, 1, 1), variants_count=3)
    assert [variant.name for variant in found.experiment_design.variants] == ["A", "B", "C"]
    assert found.experiment_design.variants[2].description == "Treatment: one page instead of three"
    assert "divided level" in found.recommendations.after_test[-1]


def test_a_duration_is_whole_weeks() -> None:
    found = report()
    assert (found.calculations.estimated_duration_days, found.experiment_design.recommended_duration_days) == (15, 21)


def test_risks_come_from_warnings_and_from_people() -> None:
    found = report({"known_risks": " support is away ", "technical_constraints": "no cookies"}, n_looks=5)
    assert found.risks.product == ("support is away",)
    assert found.risks.technical == ("no cookies",)
    assert found.risks.operational == ()
    assert len(found.risks.statistical) == 1
    assert "5 planned looks" in found.experiment_design.stopping_conditions[2]
    assert found.recommendations.during_test[0] == "Take each planned look once."
    assert report().recommendations.during_test[0].startswith("Don't stop")


def test_what_is_left_open_is_asked() -> None:
    assert len(report().open_questions) == 3
    told = report(
        {
            "guardrails": (Guardrail("errors", "binary", baseline_rate=10.0),),
            "target_audience": "new users",
            "change": "a shorter form",
        },
        randomization_unit="cluster",
    )
    assert told.open_questions == ("How large and how alike are the clusters?",)


def test_an_aim_of_equivalence_is_told_as_one() -> None:
    found = report(
        metric_type="continuous", baseline_value=50.0, std_dev=20.0, planned_test="tost", equivalence_margin_pct=5.0
    )
    assert found.executive_summary.startswith("To show that signups changes by less than 5 %")


def test_plans_with_a_covariate_or_clusters_say_what_to_prepare() -> None:
    mean = {"metric_type": "continuous", "baseline_value": 50.0, "std_dev": 20.0}
    covariate = report(**mean, cuped_pre_experiment_std=20.0, cuped_correlation=0.5)
    assert any("covariate" in text for text in covariate.recommendations.before_launch)
    clusters = report(**mean, randomization_unit="cluster", avg_cluster_size=10, icc=0.1)
    assert any("clusters" in text for text in clusters.recommendations.before_launch)
