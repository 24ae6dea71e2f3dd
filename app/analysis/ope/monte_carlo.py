"""What it adds to the error that a candidate's probabilities are shares of runs."""

from __future__ import annotations

import math

from app.analysis.arrays import Floats


def monte_carlo_se(own: Floats, propensity: Floats, reward: Floats, draws: int) -> float:
    """``sqrt(n^-2 sum (r/p)^2 pi (1 - pi) / (M - 1))`` with ``pi`` = share of M = ``draws`` runs (binomial variance).

    The shares are unbiased, so IPS stays unbiased. Raises ValueError for fewer than two draws.

    >>> import numpy as np
    >>> monte_carlo_se(np.array([0.5, 0.5]), np.array([0.5, 0.5]), np.array([1.0, 0.0]), 26)
    0.1
    """
    if draws < 2:
        raise ValueError(f"draws: {draws!r} must be 2 or more")
    spread = (reward / propensity) ** 2 * own * (1.0 - own) / (draws - 1)
    return math.sqrt(float(spread.sum())) / max(1, len(own))
