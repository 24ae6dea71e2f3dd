"""Which sample size a plan takes: one formula for each metric and test."""

from __future__ import annotations

from app.analysis.ab.plan.counts import counts_sample_size
from app.analysis.ab.plan.equivalence import equivalence_sample_size
from app.analysis.ab.plan.fisher import fisher_sample_size
from app.analysis.ab.plan.mann_whitney import mann_whitney_sample_size
from app.analysis.ab.plan.means import means_sample_size
from app.analysis.ab.plan.precision import precision_sample_size
from app.analysis.ab.plan.proportions import proportions_sample_size
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.plan.sample_size import SampleSize


def planned_size(request: PlanRequest) -> SampleSize:
    """Persons per arm if persons are randomised and results are looked at once."""
    levels = (request.alpha, request.power, request.variants_count)
    if request.metric_type == "binary":
        formula = fisher_sample_size if request.test == "fisher_exact" else proportions_sample_size
        return formula(request.baseline_value, request.mde_pct, *levels)
    if request.metric_type == "count":
        exposure = request.exposure_per_user or 1.0
        return counts_sample_size(request.baseline_value, request.mde_pct, exposure, *levels).sample_size
    assert request.std_dev is not None  # held by PlanRequest
    if request.test == "tost":
        assert request.margin is not None
        return equivalence_sample_size(request.std_dev, request.margin, *levels)
    mean_formula = mann_whitney_sample_size if request.test == "mann_whitney" else means_sample_size
    return mean_formula(request.std_dev, request.delta, *levels)


def cuped_size(request: PlanRequest) -> SampleSize | None:
    """Persons per arm with the covariate; None without one."""
    if request.cuped is None:
        return None
    return means_sample_size(
        request.cuped.adjusted_sd, request.delta, request.alpha, request.power, request.variants_count
    )


def precision_size(request: PlanRequest) -> SampleSize | None:
    """Persons per arm for the desired precision; None unless the plan is Bayesian."""
    if request.analysis_mode != "bayesian" or request.desired_precision is None:
        return None
    base, half = request.baseline_value, request.desired_precision
    if request.metric_type == "binary":
        return precision_sample_size(base * (1.0 - base), half / 100.0, request.credibility)
    if request.metric_type == "count":  # the variance of one person's Poisson rate
        return precision_sample_size(base / (request.exposure_per_user or 1.0), half, request.credibility)
    assert request.std_dev is not None  # held by PlanRequest
    return precision_sample_size(request.std_dev**2, half, request.credibility)
