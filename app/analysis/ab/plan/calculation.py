"""The whole plan: sample size, duration, looks, clusters, covariate, precision and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.analysis.ab.answer import Rounded1, Rounded4
from app.analysis.ab.normal import ceiling
from app.analysis.ab.plan.assumptions import assumptions
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.plan.size import cuped_size, planned_size, precision_size
from app.analysis.ab.plan.warnings import PlanWarning, plan_warnings
from app.analysis.ab.sequential.boundaries import Look


@dataclass(frozen=True)
class CalculationSummary:
    """What was asked for."""

    metric_type: str
    baseline_value: float
    mde_pct: float
    mde_absolute: float
    alpha: float
    power: float
    planned_test: str
    equivalence_margin_pct: float | None
    equivalence_margin_absolute: float | None


@dataclass(frozen=True)
class CalculationResults:
    """Sizes, days, and persons by arm after these days. ``allocated_daily_traffic``: None if nothing is held back."""

    sample_size_per_variant: int
    total_sample_size: int
    estimated_duration_days: int
    effective_daily_traffic: float
    holdout_fraction: float | None
    mutually_exclusive_experiments: int | None
    allocated_daily_traffic: float | None
    expected_exposures: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Calculation:
    """A plan; parts that weren't asked for are None."""

    calculation_summary: CalculationSummary
    results: CalculationResults
    assumptions: tuple[str, ...]
    warnings: tuple[PlanWarning, ...]
    bonferroni_note: str | None = None
    design_effect: Rounded4 | None = None
    avg_cluster_size: float | None = None
    icc: float | None = None
    clusters_per_variant: int | None = None
    bayesian_sample_size_per_variant: int | None = None
    bayesian_credibility: float | None = None
    bayesian_note: str | None = None
    sequential_boundaries: tuple[Look, ...] | None = None
    sequential_inflation_factor: Rounded4 | None = None
    sequential_adjusted_sample_size: int | None = None
    cuped_std: Rounded4 | None = None
    cuped_sample_size_per_variant: int | None = None
    cuped_variance_reduction_pct: Rounded1 | None = None
    cuped_duration_days: int | None = None
    cuped_theta: Rounded4 | None = None


def calculate(request: PlanRequest) -> Calculation:
    """Plan an experiment.

    Raises :class:`app.analysis.ab.checks.ParameterError` for values that don't fit together.

    >>> found = calculate(PlanRequest(
    ...     metric_type="binary", baseline_value=0.042, mde_pct=5.0, expected_daily_traffic=12000,
    ...     audience_share_in_test=0.6, traffic_split=(50, 50), variants_count=2,
    ... ))
    >>> found.results.sample_size_per_variant, found.results.estimated_duration_days
    (146642, 41)
    """
    plain = planned_size(request).per_variant
    n, test = _clustered(request, plain), "poisson_rate" if request.metric_type == "count" else request.test
    days = request.traffic.days(n)
    return Calculation(
        calculation_summary=_summary(request, test),
        results=_results(request, n, days),
        assumptions=assumptions(request, test),
        warnings=plan_warnings(request, days),
        bonferroni_note=_bonferroni_note(request),
        **_cluster_part(request, plain),
        **_bayesian_part(request),
        **_sequential_part(request, n),
        **_cuped_part(request),
    )


def planned_sample_size(request: PlanRequest) -> int:
    """Persons per arm of the whole design: clusters and the inflation for looks included."""
    n = _clustered(request, planned_size(request).per_variant)
    return request.boundary.inflated(n, request.power) if request.n_looks > 1 else n


def _clustered(request: PlanRequest, n: int) -> int:
    return request.clusters.inflate(n) if request.clusters else n


def _summary(request: PlanRequest, test: str) -> CalculationSummary:
    return CalculationSummary(
        metric_type=request.metric_type,
        baseline_value=request.baseline_value,
        mde_pct=request.mde_pct,
        mde_absolute=request.delta,
        alpha=request.alpha,
        power=request.power,
        planned_test=test,
        equivalence_margin_pct=request.equivalence_margin_pct,
        equivalence_margin_absolute=request.margin,
    )


def _results(request: PlanRequest, n: int, days: int) -> CalculationResults:
    traffic = request.traffic
    held_back = request.holdout_fraction is not None or request.mutually_exclusive_experiments is not None
    return CalculationResults(
        sample_size_per_variant=n,
        total_sample_size=n * request.variants_count,
        estimated_duration_days=days,
        effective_daily_traffic=traffic.eligible,
        holdout_fraction=request.holdout_fraction,
        mutually_exclusive_experiments=request.mutually_exclusive_experiments,
        allocated_daily_traffic=traffic.allocated if held_back else None,
        expected_exposures=traffic.exposures(days),
    )


def _bonferroni_note(request: PlanRequest) -> str | None:
    if request.variants_count == 2:
        return None
    comparisons = request.variants_count - 1
    return (
        f"{comparisons} comparisons with control, each at level {request.alpha_each:.4g} instead of {request.alpha:g}."
    )


def _cluster_part(request: PlanRequest, n: int) -> dict[str, Any]:
    clusters = request.clusters
    if clusters is None:
        return {}
    return {
        "design_effect": clusters.effect,
        "avg_cluster_size": clusters.size,
        "icc": clusters.icc,
        "clusters_per_variant": clusters.clusters(n),
    }


def _bayesian_part(request: PlanRequest) -> dict[str, Any]:
    size = precision_size(request)
    if size is None:
        return {}
    return {
        "bayesian_sample_size_per_variant": _clustered(request, size.per_variant),
        "bayesian_credibility": request.credibility,
        "bayesian_note": f"The {100 * request.credibility:g} % interval of the difference is then as narrow as asked. "
        "No prior enters: with so many persons the data outweigh it.",
    }


def _sequential_part(request: PlanRequest, n: int) -> dict[str, Any]:
    if request.n_looks == 1:
        return {}
    inflation = request.boundary.inflation(request.power)
    return {
        "sequential_boundaries": request.boundary.looks(),
        "sequential_inflation_factor": inflation,
        "sequential_adjusted_sample_size": ceiling(n * inflation),
    }


def _cuped_part(request: PlanRequest) -> dict[str, Any]:
    plan, size = request.cuped, cuped_size(request)
    if plan is None or size is None:
        return {}
    n = _clustered(request, size.per_variant)
    return {
        "cuped_std": plan.adjusted_sd,
        "cuped_sample_size_per_variant": n,
        "cuped_variance_reduction_pct": plan.variance_reduction_pct,
        "cuped_duration_days": request.traffic.days(n),
        "cuped_theta": plan.theta,
    }
