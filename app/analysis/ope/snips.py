"""Self-normalised inverse propensity scoring."""

from __future__ import annotations

import math

from app.analysis.arrays import Floats, Ints
from app.analysis.estimate import Estimate, normal, squares


def snips(w: Floats, reward: Floats, unit: Ints | None = None, level: float = 0.95) -> Estimate:
    """``v = sum w r / sum w``, se ``sqrt(sum w^2 (r - v)^2) / sum w`` (Swaminathan and Joachims 2015).

    Its bias is O(1/n). It stays within the range of the rewards, and shifts with them where a constant is added.
    With units, ``w (r - v)`` is summed per unit before it is squared. The value is None if all weights are 0.

    >>> import numpy as np
    >>> found = snips(np.array([1.0, 3.0]), np.array([0.0, 1.0]))
    >>> found.value, round(found.se, 6)
    (0.75, 0.265165)
    """
    total = float(w.sum())
    if total <= 0:
        return Estimate(None)
    value = float((w * reward).sum()) / total
    return normal(value, math.sqrt(squares(w * (reward - value), unit)) / total, level)
