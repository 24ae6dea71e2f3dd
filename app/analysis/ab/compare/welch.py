"""Welch's t test of two means."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from app.analysis.ab.checks import between
from app.analysis.ab.compare.power import power_of_t
from app.analysis.ab.compare.result import ComparisonResult, relative_pct, verdict_of
from app.analysis.ab.interval import around
from app.analysis.ab.normal import t_cdf, t_upper
from app.analysis.ab.plan.sample_size import quantiles
from app.analysis.ab.statistic import SampleMean


@dataclass(frozen=True)
class WelchTest:
    """t = (x̄₂-x̄₁)/√(s₁²/n₁+s₂²/n₂) with Satterthwaite's degrees of freedom; two-sided.

    Source: Welch (1947), The generalization of Student's problem, Biometrika 34:28.

    >>> found = WelchTest(SampleMean(100, 15, 500), SampleMean(103, 18, 480)).result()
    >>> round(found.test_statistic, 9), round(found.p_value, 12)
    (2.828427125, 0.004777968399)
    """

    control: SampleMean
    treatment: SampleMean
    alpha: float = 0.05

    def __post_init__(self) -> None:
        between("alpha", self.alpha)

    @property
    def difference(self) -> float:
        """Treatment minus control."""
        return self.treatment.mean - self.control.mean

    @property
    def error(self) -> float:
        """The standard error of the difference."""
        return sqrt(self.control.error_variance + self.treatment.error_variance)

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom; raises ZeroDivisionError if neither arm varies."""
        v1, v2 = self.control.error_variance, self.treatment.error_variance
        share = v1 / (v1 + v2)  # of shares, since squares of small variances underflow
        return 1.0 / (share**2 / (self.control.n - 1) + (1.0 - share) ** 2 / (self.treatment.n - 1))

    def result(self) -> ComparisonResult:
        """Test, interval and decision, in the unit of the means."""
        return t_result(
            "continuous",
            self.difference,
            self.error,
            self.df if self.error else 1.0,
            self.alpha,
            control=self.control.mean,
            method="welch",
        )


def t_result(
    metric_type: str, difference: float, error: float, df: float, alpha: float, *, control: float, method: str
) -> ComparisonResult:
    """A two-sided t test of a difference with its standard error; without error it is degenerate: effect 0, p 1."""
    effect, t = (difference, difference / error) if error else (0.0, 0.0)
    p = 2.0 * t_cdf(-abs(t), df)
    interval = around(effect, t_upper(alpha / 2.0, df) * error, 1.0 - alpha)
    return ComparisonResult(
        metric_type=metric_type,
        observed_effect=effect,
        observed_effect_relative=relative_pct(effect, control),
        ci_lower=interval.lower,
        ci_upper=interval.upper,
        ci_level=interval.level,
        p_value=p,
        test_statistic=t,
        is_significant=p < alpha,
        power_achieved=power_of_t(t, df, alpha),
        verdict_code=verdict_of(effect, p < alpha) if error else "degenerate",
        ci_method=method,
        ci_disagrees=interval.excludes(0.0) != (p < alpha),
        detectable_effect=sum(quantiles(alpha, 0.8, 2)) * error if error else None,
    )
