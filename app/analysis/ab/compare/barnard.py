"""Barnard's exact test of two proportions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.analysis.ab.checks import between
from app.analysis.ab.compare.fisher import check_users, exact_result
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.compare.unconditional import MAX_USERS, supremum
from app.analysis.ab.statistic import Floats, Proportion


@dataclass(frozen=True)
class BarnardTest:
    """p: the largest probability, over the common rate, of a pooled |z| as large as the one that came.

    At most 200 users. Source: Barnard (1947), Significance tests for 2x2 tables, Biometrika 34:123.

    >>> round(BarnardTest(Proportion(7, 40), Proportion(18, 42)).result().p_value, 10)
    0.0128112139
    """

    control: Proportion
    treatment: Proportion
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_users(self.control, self.treatment, MAX_USERS)
        between("alpha", self.alpha)

    def result(self) -> ComparisonResult:
        """Test, intervals and decision, in proportions."""
        z = np.abs(_pooled_z(self.control.n, self.treatment.n))
        seen = z[self.control.successes, self.treatment.successes]
        p = supremum(z >= seen * (1.0 - 1e-9))
        return exact_result("barnard_exact", self.control, self.treatment, self.alpha, p)


def _pooled_z(n1: int, n2: int) -> Floats:
    """The statistic of each table; 0 where nobody or everybody converted."""
    x1, x2 = np.arange(n1 + 1.0)[:, None], np.arange(n2 + 1.0)[None, :]
    pooled = (x1 + x2) / (n1 + n2)
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2))
    difference = x2 / n2 - x1 / n1
    return np.divide(difference, error, out=np.zeros_like(difference), where=error > 0.0)
