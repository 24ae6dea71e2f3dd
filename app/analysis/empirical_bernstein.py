"""The streaming confidence sequence: constant memory, for figures that follow a log live."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from app.analysis.arrays import Floats, check_bounds, check_level
from app.analysis.betting import ConfidenceSequence


@dataclass
class _Side:
    """The lower bound of the mean of non-negative scores with mean at most one."""

    goal: float
    t: int = 0
    sum: float = 0.0
    spread: float = 0.25
    bets: float = 0.0
    gain: float = 0.0
    low: float = 0.0

    def add(self, score: float) -> None:
        """Take one score; the bet and the centre are those of earlier rows."""
        mu = min(1.0, (0.5 + self.sum) / (self.t + 1))
        v = self.spread / (self.t + 1)
        self.t += 1
        bet = min(0.5, math.sqrt(2 * self.goal / (v * self.t * math.log1p(self.t))))
        self.bets += bet
        self.gain += bet * score - (score - mu) ** 2 * (-math.log1p(-bet) - bet)
        self.low = max(self.low, (self.gain - self.goal) / self.bets)
        self.sum += score
        self.spread += (score - min(1.0, (0.5 + self.sum) / (self.t + 1))) ** 2


class EmpiricalBernstein:
    """A confidence sequence in O(1) memory and time per row.

    ``L_t = (sum l xi - ln(2/alpha) - sum (xi - mu_{t-1})^2 psi(l)) / sum l`` with ``xi = w r``, its running maximum,
    and ``psi(l) = -ln(1 - l) - l`` (Waudby-Smith and Ramdas 2024). Wider than betting by a little, as valid.

    >>> live = EmpiricalBernstein(0.0, 1.0)
    >>> for r in [1, 0, 0, 1] * 100:
    ...     live.add(1.0, r)
    >>> round(live.sequence.low, 10), round(live.sequence.high, 10)
    (0.4078197904, 0.59201637)
    """

    def __init__(self, lo: float | None, hi: float | None, level: float = 0.95) -> None:
        self.lo, self.hi = check_bounds(lo, hi)
        goal = math.log(2 / (1.0 - check_level(level)))
        self._lower, self._upper = _Side(goal), _Side(goal)

    def add(self, w: float, reward: float) -> None:
        """Take one decision's weight and reward; raises ValueError for a weight or reward that cannot be."""
        r = (reward - self.lo) / (self.hi - self.lo)
        if not 0.0 <= r <= 1.0:
            raise ValueError(f"reward: {reward!r} must lie between lo ({self.lo}) and hi ({self.hi})")
        if not 0.0 <= w < math.inf:
            raise ValueError(f"w: {w!r} must be a finite number, not negative")
        self._lower.add(w * r)
        self._upper.add(w * (1.0 - r))

    @property
    def sequence(self) -> ConfidenceSequence:
        """The interval after the rows so far."""
        low, high = min(1.0, self._lower.low), 1.0 - min(1.0, self._upper.low)
        scale = self.hi - self.lo
        return ConfidenceSequence(self.lo + scale * low, self.lo + scale * max(low, high), "eb")


def empirical_bernstein(
    w: Floats, reward: Floats, lo: float | None, hi: float | None, level: float = 0.95
) -> ConfidenceSequence:
    """The same for columns of weights and rewards."""
    live = EmpiricalBernstein(lo, hi, level)
    for weight, each in zip(np.asarray(w).tolist(), np.asarray(reward).tolist(), strict=True):
        live.add(weight, each)
    return live.sequence
