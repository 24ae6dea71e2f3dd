"""Plain means by arm: they ignore how the data were collected."""

from __future__ import annotations

import math

from app.analysis.estimate import Estimate, mean_estimate, normal
from app.analysis.log import DecisionLog


def naive(log: DecisionLog, arm: int, level: float = 0.95) -> Estimate:
    """The mean reward of an arm's rows. Under a learning policy it is biased, mostly downwards, and covers too rarely.

    >>> import numpy as np
    >>> naive(DecisionLog(("a",), np.zeros(4, int), np.ones(4), np.array([0.0, 1.0, 1.0, 0.0])), 0).value
    0.5
    """
    rows = log.chosen == arm
    return mean_estimate(log.reward[rows], None if log.unit is None else log.unit[rows], level)


def naive_contrast(one: Estimate, other: Estimate, level: float = 0.95) -> Estimate:
    """The difference of two independent means (Welch)."""
    if one.value is None or other.value is None:
        return Estimate(None)
    se = math.hypot(one.se, other.se) if one.se is not None and other.se is not None else None
    return normal(one.value - other.value, se, level)
