"""Boschloo's exact test of two proportions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from app.analysis.ab.checks import between
from app.analysis.ab.compare.fisher import check_users, exact_result
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.compare.unconditional import MAX_USERS, supremum
from app.analysis.ab.statistic import Floats, Proportion


@dataclass(frozen=True)
class BoschlooTest:
    """Fisher's one-sided p as the statistic of an unconditional test; p is twice that of the smaller side.

    At most 200 users. Source: Boschloo (1970), Raised conditional level of significance, Statistica Neerlandica 24:1.

    >>> round(BoschlooTest(Proportion(7, 40), Proportion(18, 42)).result().p_value, 10)
    0.0134998141
    """

    control: Proportion
    treatment: Proportion
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_users(self.control, self.treatment, MAX_USERS)
        between("alpha", self.alpha)

    def result(self) -> ComparisonResult:
        """Test, intervals and decision, in proportions."""
        x1, x2 = self.control.successes, self.treatment.successes
        sides = []
        for upper in (False, True):
            p = _fisher_one_sided(self.control.n, self.treatment.n, upper=upper)
            sides.append(supremum(p <= p[x1, x2] * (1.0 + 1e-7)))
        return exact_result("boschloo_exact", self.control, self.treatment, self.alpha, min(1.0, 2.0 * min(sides)))


def _fisher_one_sided(n1: int, n2: int, *, upper: bool) -> Floats:
    """Fisher's one-sided p of each table: of as many conversions of treatment or more (``upper``), or fewer."""
    x1, x2 = np.arange(n1 + 1)[:, None], np.arange(n2 + 1)[None, :]
    mass = np.exp(_log_choose(n1, x1) + _log_choose(n2, x2) - _log_choose(n1 + n2, x1 + x2))
    p = np.empty_like(mass)
    # Tables of one total are a diagonal: its running sum is the conditional distribution function.
    for total in range(n1 + n2 + 1):
        second = np.arange(max(0, total - n1), min(n2, total) + 1)
        along = mass[total - second, second]
        p[total - second, second] = along[::-1].cumsum()[::-1] if upper else along.cumsum()
    return p


def _log_choose(n: int, k: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Floats:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))
