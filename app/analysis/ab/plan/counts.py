"""Persons per arm to compare two Poisson rates by the exact conditional test."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from scipy.optimize import brentq

from app.analysis.ab.checks import positive
from app.analysis.ab.normal import ceiling
from app.analysis.ab.plan.sample_size import SampleSize, quantiles


@dataclass(frozen=True)
class CountPlan:
    """Events over both arms, exposure per arm, and persons per arm."""

    events: float
    exposure_per_arm: float
    sample_size: SampleSize


def counts_sample_size(
    rate: float, mde_pct: float, exposure_per_user: float = 1.0, alpha: float = 0.05, power: float = 0.8, arms: int = 2
) -> CountPlan:
    """What it takes to detect a relative rise of ``mde_pct`` percent in a rate of events per exposure.

    With RR = 1+mde/100 and π = RR/(1+RR), the events of treatment are Binomial(m, π) given the total m:
    m = (z_{1-α'/2}/2 + z_power√(π(1-π)))²/(π-½)², rounded up; exposure per arm m/(λ(1+RR)).
    Events of one person are taken as independent: overdispersion needs more.
    Source: Gu, Ng, Tang, Schucany (2008), Testing the ratio of two Poisson rates, Biometrical Journal 50:283.

    >>> counts_sample_size(2.0, 10.0).sample_size.per_variant
    824
    """
    positive("rate", rate)
    ratio = 1.0 + positive("mde_pct", mde_pct) / 100.0
    events = _events(ratio, *quantiles(alpha, power, arms))
    exposure = ceiling(events) / (rate * (1.0 + ratio))
    return CountPlan(events, exposure, SampleSize.of(exposure / positive("exposure_per_user", exposure_per_user)))


def detectable_rate_difference(
    rate: float, exposure: float, alpha: float = 0.05, power: float = 0.8, arms: int = 2
) -> float:
    """The smallest absolute rise of a rate that an ``exposure`` per arm detects: the same formula, solved for RR.

    >>> round(detectable_rate_difference(2.0, 823.5714286), 3)
    0.2
    """
    positive("rate", rate)
    positive("exposure", exposure)
    z = quantiles(alpha, power, arms)

    def excess(ratio: float) -> float:
        return _events(ratio, *z) / (rate * (1.0 + ratio)) / exposure - 1.0

    high = 2.0
    while excess(high) > 0.0:
        high *= 2.0
    return rate * (float(brentq(excess, 1.0 + 1e-12, high, xtol=1e-15, rtol=1e-13)) - 1.0)


def _events(ratio: float, z_alpha: float, z_power: float) -> float:
    share = ratio / (1.0 + ratio)
    return ((0.5 * z_alpha + z_power * sqrt(share * (1.0 - share))) / (share - 0.5)) ** 2
