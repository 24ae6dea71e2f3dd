"""The delta method's z test of two ratios."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from app.analysis.ab.checks import between
from app.analysis.ab.compare.power import power_of_z
from app.analysis.ab.compare.result import ComparisonResult, relative_pct, verdict_of
from app.analysis.ab.interval import around
from app.analysis.ab.normal import two_sided, upper
from app.analysis.ab.plan.sample_size import quantiles
from app.analysis.ab.statistic import RatioMean, Statistic


@dataclass(frozen=True)
class RatioTest:
    """z = (R₂-R₁)/√(V₁+V₂), with the delta method's variances of :class:`RatioMean`; two-sided.

    Source: Deng, Knoblich, Lu (2018), Applying the Delta Method in Metric Analytics, KDD.

    >>> control = RatioMean.of([1, 2, 1, 3, 0, 2], [10, 12, 8, 20, 5, 14])
    >>> treatment = RatioMean.of([2, 1, 3, 4, 1, 2], [11, 9, 15, 18, 7, 10])
    >>> round(RatioTest(control, treatment).result().test_statistic, 9)
    2.523722036
    """

    control: RatioMean
    treatment: RatioMean
    alpha: float = 0.05

    def __post_init__(self) -> None:
        between("alpha", self.alpha)

    def result(self) -> ComparisonResult:
        """Test, interval and decision, in the unit of the ratios."""
        return z_result("ratio", self.control, self.treatment, self.alpha, method="delta")


def z_result(
    metric_type: str, control: Statistic, treatment: Statistic, alpha: float, *, method: str
) -> ComparisonResult:
    """A two-sided z test of two estimates; without error it is degenerate: effect 0, p 1."""
    error = sqrt(control.error_variance + treatment.error_variance)
    effect = treatment.estimate - control.estimate if error else 0.0
    z = effect / error if error else 0.0
    p = two_sided(z)
    interval = around(effect, upper(alpha / 2.0) * error, 1.0 - alpha)
    return ComparisonResult(
        metric_type=metric_type,
        observed_effect=effect,
        observed_effect_relative=relative_pct(effect, control.estimate),
        ci_lower=interval.lower,
        ci_upper=interval.upper,
        ci_level=interval.level,
        p_value=p,
        test_statistic=z,
        is_significant=p < alpha,
        power_achieved=power_of_z(z, alpha),
        verdict_code=verdict_of(effect, p < alpha) if error else "degenerate",
        ci_method=method,
        ci_disagrees=interval.excludes(0.0) != (p < alpha),
        detectable_effect=sum(quantiles(alpha, 0.8, 2)) * error if error else None,
    )
