"""The exact test of two Poisson rates."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, nan

import numpy as np
from scipy.special import betaincinv, gammaincinv, gammaln

from app.analysis.ab.checks import ParameterError, between
from app.analysis.ab.compare.power import power_of_p
from app.analysis.ab.compare.result import ComparisonResult, relative_pct, verdict_of
from app.analysis.ab.interval import Interval
from app.analysis.ab.plan.counts import detectable_rate_difference
from app.analysis.ab.statistic import EventCount

MAX_EVENTS = 1_000_000


@dataclass(frozen=True)
class CountsTest:
    """Given the total, the events of treatment are Binomial(total, its share of the exposure); exact two-sided p.

    Effect size and test statistic: the rate ratio, with the interval of Clopper and Pearson. The interval of the
    difference combines Garwood's limits (MOVER). Events of one person are taken as independent.
    Sources: Przyborowski, Wilenski (1940), Biometrika 31:313; Clopper, Pearson (1934), Biometrika 26:404;
    Garwood (1936), Biometrika 28:437; Zou, Donner (2008), Statistics in Medicine 27:1693.

    >>> found = CountsTest(EventCount(100, 1000.0), EventCount(130, 1000.0)).result()
    >>> round(found.p_value, 10), found.effect_size, round(found.ci_lower, 9)
    (0.0556135778, 1.3, -0.000414652)
    """

    control: EventCount
    treatment: EventCount
    alpha: float = 0.05

    def __post_init__(self) -> None:
        between("alpha", self.alpha)
        if self.control.events + self.treatment.events > MAX_EVENTS:
            raise ParameterError(
                "events", f"at most {MAX_EVENTS:,} in both arms together", self.control.events + self.treatment.events
            )

    def result(self) -> ComparisonResult:
        """Test, intervals and decision, per unit of exposure."""
        effect = self.treatment.estimate - self.control.estimate
        p, interval, ratio = self._p(), self._difference(), self.rate_ratio
        between_ratios = self._ratio_interval()
        happened = self.control.events + self.treatment.events > 0
        significant = p < self.alpha
        return ComparisonResult(
            metric_type="count",
            observed_effect=effect,
            observed_effect_relative=relative_pct(effect, self.control.estimate),
            control_rate=self.control.estimate,
            treatment_rate=self.treatment.estimate,
            ci_lower=interval.lower,
            ci_upper=interval.upper,
            ci_level=interval.level,
            p_value=p,
            test_statistic=ratio,
            is_significant=significant,
            power_achieved=power_of_p(p, self.alpha),
            verdict_code=verdict_of(effect, significant) if happened else "degenerate",
            effect_size=ratio,
            effect_size_label="rate_ratio",
            effect_size_ci_lower=between_ratios.lower,
            effect_size_ci_upper=between_ratios.upper,
            unit="per_exposure",
            ci_method="mover_garwood",
            ci_disagrees=interval.excludes(0.0) != significant,
            detectable_effect=self._detectable(),
        )

    @property
    def rate_ratio(self) -> float:
        """Treatment over control: infinite if control has no events, NaN if neither has."""
        if self.control.events:
            return self.treatment.estimate / self.control.estimate
        return inf if self.treatment.events else nan

    def _p(self) -> float:
        return poisson_p(self.control, self.treatment)

    def _ratio_interval(self) -> Interval:
        x, total = self.treatment.events, self.control.events + self.treatment.events
        low = float(betaincinv(x, total - x + 1, self.alpha / 2.0)) if x else 0.0
        high = float(betaincinv(x + 1, total - x, 1.0 - self.alpha / 2.0)) if x < total else 1.0
        exposures = self.control.exposure / self.treatment.exposure
        upper = high / (1.0 - high) * exposures if high < 1.0 else inf
        return Interval(low / (1.0 - low) * exposures, upper, 1.0 - self.alpha)

    def _difference(self) -> Interval:
        first, second = garwood(self.control, self.alpha), garwood(self.treatment, self.alpha)
        r1, r2 = self.control.estimate, self.treatment.estimate
        below, above = hypot(r2 - second.lower, first.upper - r1), hypot(second.upper - r2, r1 - first.lower)
        return Interval(r2 - r1 - below, r2 - r1 + above, 1.0 - self.alpha)

    def _detectable(self) -> float | None:
        if not self.control.events:
            return None
        exposure = 2.0 / (1.0 / self.control.exposure + 1.0 / self.treatment.exposure)
        return detectable_rate_difference(self.control.estimate, exposure, self.alpha)


def poisson_p(control: EventCount, treatment: EventCount) -> float:
    """The two-sided exact p that two rates are alike: the binomial probability of all splits no likelier.

    >>> round(poisson_p(EventCount(5, 900.0), EventCount(0, 850.0)), 10)
    0.0630104123
    """
    total, x = control.events + treatment.events, treatment.events
    share = treatment.exposure / (control.exposure + treatment.exposure)
    k = np.arange(total + 1.0)
    log_choose = gammaln(total + 1.0) - gammaln(k + 1.0) - gammaln(total - k + 1.0)
    mass = np.exp(log_choose + k * np.log(share) + (total - k) * np.log1p(-share))
    return min(1.0, float(mass[mass <= mass[x] * (1.0 + 1e-7)].sum()))


def garwood(count: EventCount, alpha: float = 0.05) -> Interval:
    """The exact interval of a Poisson rate.

    Source: Garwood (1936), Fiducial limits for the Poisson distribution, Biometrika 28:437.

    >>> found = garwood(EventCount(0, 850.0))
    >>> found.lower, round(found.upper, 6)
    (0.0, 0.00434)
    """
    between("alpha", alpha)
    low = float(gammaincinv(count.events, alpha / 2.0)) if count.events else 0.0
    high = float(gammaincinv(count.events + 1.0, 1.0 - alpha / 2.0))
    return Interval(low / count.exposure, high / count.exposure, 1.0 - alpha)
