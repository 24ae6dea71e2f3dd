"""A guaranteed interval for logs whose probabilities do not depend on the past."""

from __future__ import annotations

import math

from app.analysis.arrays import Floats, check_level
from app.analysis.estimate import Estimate


def bernstein(w: Floats, reward: Floats, lo: float, hi: float, largest: float, level: float = 0.95) -> Estimate:
    """IPS with the empirical Bernstein bound, two-sided (Maurer and Pontil 2009).

    ``sqrt(2 V ln(4/alpha) / n) + 7 b ln(4/alpha) / (3 (n - 1))`` on rewards rescaled to [0, 1]; V is the sample
    variance of ``w r``. It holds for every n, but only if rows are independent: not under a policy that learns.

    Parameters
    ----------
    largest
        b, a bound of the weights that was promised beforehand: ``max pi`` over the least probability that the logging
        policy gives any arm. The largest weight of the sample is no bound.

    >>> import numpy as np
    >>> found = bernstein(np.ones(100), np.tile([0.0, 1.0], 50), 0.0, 1.0, largest=1.0)
    >>> found.value, round(found.detail["radius"], 6)
    (0.5, 0.252047)
    """
    n = len(w)
    if n < 2:
        return Estimate(None)
    if not largest >= float(w.max()):
        raise ValueError(f"floor: it promises weights up to {largest}, and one is {float(w.max())}")
    scores = w * (reward - lo) / (hi - lo)
    depth = math.log(4 / (1.0 - check_level(level)))
    radius = math.sqrt(2 * float(scores.var(ddof=1)) * depth / n) + 7 * largest * depth / (3 * (n - 1))
    value, half = lo + (hi - lo) * float(scores.mean()), (hi - lo) * radius
    return Estimate(value, None, max(lo, value - half), min(hi, value + half), {"radius": half, "b": largest})
