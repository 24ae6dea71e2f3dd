"""Weighted means of scores and their contrasts."""

from __future__ import annotations

import math

from app.analysis.arrays import Floats, Ints
from app.analysis.estimate import Estimate, normal, squares


def weighted_mean(scores: Floats, h: Floats, unit: Ints | None = None, level: float = 0.95) -> Estimate:
    """``Q = sum h G / sum h``, ``se^2 = sum h^2 (G - Q)^2 / (sum h)^2``; None where all weights are 0.

    >>> import numpy as np
    >>> found = weighted_mean(np.array([0.0, 1.0]), np.ones(2))
    >>> found.value, round(found.se, 6)
    (0.5, 0.353553)
    """
    total = float(h.sum())
    if not total > 0:
        return Estimate(None)
    value = float((h * scores).sum()) / total
    return normal(value, math.sqrt(squares(h * (scores - value), unit)) / total, level)


def weighted_contrast(
    one: Floats, h_one: Floats, other: Floats, h_other: Floats, unit: Ints | None = None, level: float = 0.95
) -> Estimate:
    """The difference of two weighted means over the same rows.

    ``se^2 = sum (h_i (G_i - Q_i) / H_i - h_j (G_j - Q_j) / H_j)^2`` with ``H = sum h``.

    >>> import numpy as np
    >>> found = weighted_contrast(np.array([0.0, 1.0]), np.ones(2), np.array([0.0, 1.0]), np.ones(2))
    >>> found.value, found.se
    (0.0, 0.0)
    """
    total_one, total_other = float(h_one.sum()), float(h_other.sum())
    if not (total_one > 0 and total_other > 0):
        return Estimate(None)
    q_one, q_other = float((h_one * one).sum()) / total_one, float((h_other * other).sum()) / total_other
    errors = h_one * (one - q_one) / total_one - h_other * (other - q_other) / total_other
    return normal(q_one - q_other, math.sqrt(squares(errors, unit)), level)
