"""The pooled z test of two proportions."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from app.analysis.ab.checks import between
from app.analysis.ab.compare.newcombe import newcombe
from app.analysis.ab.compare.power import power_of_z
from app.analysis.ab.compare.result import ComparisonResult, relative_pct, verdict_of
from app.analysis.ab.normal import two_sided
from app.analysis.ab.plan.proportions import detectable_proportion_difference
from app.analysis.ab.statistic import Proportion


@dataclass(frozen=True)
class ProportionsTest:
    """z = (p₂-p₁)/√(p̄(1-p̄)(1/n₁+1/n₂)) with the pooled share p̄; two-sided. The interval is Newcombe's.

    Source: Fleiss, Levin, Paik (2003), Statistical Methods for Rates and Proportions, 3rd ed., section 3.1.

    >>> found = ProportionsTest(Proportion(200, 2000), Proportion(250, 2000)).result()
    >>> round(found.test_statistic, 9), round(found.p_value, 10), found.verdict_code
    (2.501955417, 0.0123509477, 'uplift')
    """

    control: Proportion
    treatment: Proportion
    alpha: float = 0.05

    def __post_init__(self) -> None:
        between("alpha", self.alpha)

    @property
    def z(self) -> float:
        """The test statistic; 0 where nobody or everybody converted."""
        n1, n2 = self.control.n, self.treatment.n
        pooled = (self.control.successes + self.treatment.successes) / (n1 + n2)
        error = sqrt(pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2))
        return (self.treatment.estimate - self.control.estimate) / error if error else 0.0

    def result(self) -> ComparisonResult:
        """Test, interval and decision, in proportions."""
        z = self.z
        p = two_sided(z)
        return proportions_result(
            "binary", self.control, self.treatment, self.alpha, p, z, power=power_of_z(z, self.alpha)
        )


def proportions_result(
    metric_type: str,
    control: Proportion,
    treatment: Proportion,
    alpha: float,
    p: float,
    statistic: float,
    *,
    power: float,
) -> ComparisonResult:
    """A result whose p comes from some test of two proportions and whose interval is Newcombe's."""
    effect, interval = treatment.estimate - control.estimate, newcombe(control, treatment, alpha)
    significant = p < alpha
    degenerate = control.estimate == treatment.estimate and control.estimate in (0.0, 1.0)
    return ComparisonResult(
        metric_type=metric_type,
        observed_effect=effect,
        observed_effect_relative=relative_pct(effect, control.estimate),
        control_rate=control.estimate,
        treatment_rate=treatment.estimate,
        ci_lower=interval.lower,
        ci_upper=interval.upper,
        ci_level=interval.level,
        p_value=p,
        test_statistic=statistic,
        is_significant=significant,
        power_achieved=power,
        verdict_code="degenerate" if degenerate else verdict_of(effect, significant),
        unit="proportion",
        ci_method="newcombe",
        ci_disagrees=interval.excludes(0.0) != significant,
        detectable_effect=_detectable(control, treatment, alpha),
    )


def _detectable(control: Proportion, treatment: Proportion, alpha: float) -> float | None:
    """What arms of these sizes detect at 80 % power: their harmonic mean stands for the size of both."""
    if not 0 < control.successes < control.n:
        return None
    n = 2.0 / (1.0 / control.n + 1.0 / treatment.n)
    return detectable_proportion_difference(control.estimate, n, alpha)
