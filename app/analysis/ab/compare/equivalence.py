"""Two one-sided t tests: whether two means are alike within a margin."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from app.analysis.ab.checks import between, positive
from app.analysis.ab.compare.result import ComparisonResult, relative_pct
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.interval import around
from app.analysis.ab.normal import cdf, t_cdf, t_upper, upper
from app.analysis.ab.statistic import SampleMean


@dataclass(frozen=True)
class EquivalenceTest:
    """Rejects that the means differ by ``margin`` or more: p is the larger of Welch's two one-sided tests at ±margin.

    The interval has the level 1-2α; it lies within ±margin exactly if p < α. The effect size is Cohen's d.
    Source: Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15:657.

    >>> test = EquivalenceTest(SampleMean(100, 15, 500), SampleMean(100.5, 15, 500), margin=3.0)
    >>> round(test.result().p_value, 11), test.result().verdict_code
    (0.0042691701, 'equivalent')
    """

    control: SampleMean
    treatment: SampleMean
    margin: float
    alpha: float = 0.05

    def __post_init__(self) -> None:
        positive("equivalence_margin", self.margin)
        between("alpha", self.alpha, 0.0, 0.5)

    def result(self) -> ComparisonResult:
        """Test, interval and decision, in the unit of the means."""
        welch = WelchTest(self.control, self.treatment, self.alpha)
        difference, error = welch.difference, welch.error
        if not error:
            return self._without_error()
        df, t = welch.df, (self.margin - abs(difference)) / error
        p = t_cdf(-t, df)
        interval = around(difference, t_upper(self.alpha, df) * error, 1.0 - 2.0 * self.alpha)
        inside = -self.margin < interval.lower and interval.upper < self.margin
        return ComparisonResult(
            metric_type="equivalence",
            observed_effect=difference,
            observed_effect_relative=relative_pct(difference, self.control.mean),
            ci_lower=interval.lower,
            ci_upper=interval.upper,
            ci_level=interval.level,
            p_value=p,
            test_statistic=t,
            is_significant=p < self.alpha,
            power_achieved=cdf(upper(p) - upper(self.alpha)),
            verdict_code="equivalent" if p < self.alpha else "not_equivalent",
            effect_size=cohen_d(self.control, self.treatment),
            effect_size_label="cohens_d",
            ci_method="welch",
            ci_disagrees=inside != (p < self.alpha),
            detectable_effect=(upper(self.alpha) + upper(0.1)) * error,
        )

    def _without_error(self) -> ComparisonResult:
        return ComparisonResult(
            metric_type="equivalence",
            observed_effect=0.0,
            observed_effect_relative=relative_pct(0.0, self.control.mean),
            ci_lower=0.0,
            ci_upper=0.0,
            ci_level=1.0 - 2.0 * self.alpha,
            p_value=1.0,
            test_statistic=0.0,
            is_significant=False,
            power_achieved=self.alpha,
            verdict_code="degenerate",
            ci_method="welch",
            ci_disagrees=False,
        )


def cohen_d(control: SampleMean, treatment: SampleMean) -> float | None:
    """The difference in units of the pooled standard deviation; None if that is 0.

    Source: Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, 2nd ed., section 2.5.

    >>> cohen_d(SampleMean(10, 4, 12), SampleMean(12, 4, 12))
    0.5
    """
    freedom = control.n + treatment.n - 2
    pooled = ((control.n - 1) * control.sd**2 + (treatment.n - 1) * treatment.sd**2) / freedom
    return (treatment.mean - control.mean) / sqrt(pooled) if pooled else None
