"""The law of a 2x2 table with given margins: the noncentral hypergeometric distribution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import exp, inf

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln

from app.analysis.ab.interval import Interval
from app.analysis.ab.statistic import Floats, Proportion

_RELATIVE = 1e-7  # tables that are as likely but for this much count as no likelier


@dataclass(frozen=True)
class ConditionalLaw:
    """The conversions of treatment, given how many there are in both arms."""

    control: Proportion
    treatment: Proportion

    @cached_property
    def support(self) -> Floats:
        """The possible numbers of conversions of treatment."""
        total = self.control.successes + self.treatment.successes
        low, high = max(0, total - self.control.n), min(self.treatment.n, total)
        return np.arange(low, high + 1, dtype=np.float64)

    @cached_property
    def log_weights(self) -> Floats:
        """Logarithms of the probabilities at odds ratio 1, up to a constant; the largest is 0."""
        rest = self.control.successes + self.treatment.successes - self.support
        log = _log_choose(self.treatment.n, self.support) + _log_choose(self.control.n, rest)
        return np.asarray(log - log.max())

    def probabilities(self, log_odds_ratio: float = 0.0) -> Floats:
        """The probabilities of the support."""
        log = self.log_weights + log_odds_ratio * (self.support - self.treatment.successes)
        weights = np.exp(log - log.max())
        return np.asarray(weights / weights.sum())

    def fisher_p(self) -> float:
        """The probability of all tables that are no likelier than the one that came."""
        mass = self.probabilities()
        seen = mass[int(self.treatment.successes - self.support[0])]
        return min(1.0, float(mass[mass <= seen * (1.0 + _RELATIVE)].sum()))

    def interval(self, alpha: float) -> Interval:
        """The odds ratios that neither one-sided exact test rejects at α/2.

        Source: Cornfield (1956), 3rd Berkeley Symposium 4:135.
        """
        x = self.treatment.successes
        lower = 0.0 if x == self.support[0] else self._solve(self.support >= x, alpha / 2.0)
        upper = inf if x == self.support[-1] else self._solve(self.support <= x, alpha / 2.0)
        return Interval(lower, upper, 1.0 - alpha)

    def _solve(self, side: np.ndarray[tuple[int], np.dtype[np.bool_]], target: float) -> float:
        """The odds ratio at which the tables of one side have the probability ``target``."""

        def excess(log_odds_ratio: float) -> float:
            return float(self.probabilities(log_odds_ratio)[side].sum()) - target

        reach = 1.0
        while excess(-reach) * excess(reach) > 0.0:
            reach *= 2.0
        return exp(float(brentq(excess, -reach, reach, xtol=1e-14, rtol=1e-13)))


def _log_choose(n: int, k: Floats) -> Floats:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))
