"""Inverse propensity scoring."""

from __future__ import annotations

from app.analysis.arrays import Floats, Ints
from app.analysis.estimate import Estimate, mean_estimate


def ips(w: Floats, reward: Floats, unit: Ints | None = None, level: float = 0.95) -> Estimate:
    """``mean(w r)``: unbiased, with the variance of the weights (Horvitz and Thompson 1952).

    >>> import numpy as np
    >>> found = ips(np.array([2.0, 0.0, 2.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0]))
    >>> found.value, found.se
    (0.5, 0.5)
    """
    return mean_estimate(w * reward, unit, level)
