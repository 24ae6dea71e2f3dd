"""The mixture sequential probability ratio test (mSPRT): a p-value and an interval that may be watched at any time."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

from app.analysis.ab.checks import between, finite, positive
from app.analysis.ab.interval import Interval, around


@dataclass(frozen=True)
class MixtureTest:
    """A difference Δ with error variance V, against a null of 0 and normal alternatives with variance τ².

    ln Λ = -½ln((V+τ²)/V) + τ²Δ²/(2V(V+τ²)); p = min(1, 1/Λ);
    interval Δ ± √(2V(V+τ²)/τ²·(ln(1/α)+½ln((V+τ²)/V))).
    τ must be chosen before the data: the minimum detectable effect of the plan.
    Sources: Robbins (1970), Annals of Mathematical Statistics 41:1397; Johari, Koomen, Pekelis, Walsh (2022),
    Operations Research 70:1806.

    >>> test = MixtureTest(0.02, 0.0001, 0.0004)
    >>> round(test.log_ratio, 10), round(test.p_value, 10)
    (0.7952810438, 0.4514543387)
    """

    difference: float
    variance: float
    mixture_variance: float
    alpha: float = 0.05

    def __post_init__(self) -> None:
        finite("difference", self.difference)
        positive("variance", self.variance)
        positive("mixture_variance", self.mixture_variance)
        between("alpha", self.alpha)

    @property
    def log_ratio(self) -> float:
        """ln Λ."""
        v, tau = self.variance, self.mixture_variance
        return -0.5 * log((v + tau) / v) + tau * self.difference**2 / (2.0 * v * (v + tau))

    @property
    def p_value(self) -> float:
        """The always-valid p of this moment; that of a sequence is the smallest so far."""
        return min(1.0, exp(-self.log_ratio))

    @property
    def interval(self) -> Interval:
        """The interval of this moment within the confidence sequence at level 1-α."""
        v, tau = self.variance, self.mixture_variance
        growth = log(1.0 / self.alpha) + 0.5 * log((v + tau) / v)
        return around(self.difference, sqrt(2.0 * v * (v + tau) / tau * growth), 1.0 - self.alpha)
