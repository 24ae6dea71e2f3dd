"""Weights of scores: they even out the variance that changing probabilities bring."""

from __future__ import annotations

import numpy as np

from app.analysis.arrays import Floats


def uniform(p: Floats) -> Floats:
    """h = 1: the mean of the scores.

    >>> uniform(np.array([0.5, 0.1])).tolist()
    [1.0, 1.0]
    """
    return np.ones(len(p))


def constant(p: Floats) -> Floats:
    """``h = sqrt(p_t(a))``: a score's variance is about 1/p, so each adds the same (Hadad et al. 2021).

    >>> constant(np.array([0.25, 1.0])).tolist()
    [0.5, 1.0]
    """
    return np.sqrt(p)


def two_point(p: Floats, alpha: float = 0.5) -> Floats:
    """Weights that expect p to stay as it is or to fall as ``t^-alpha``, by stick breaking (Hadad et al. 2021).

    ``lambda_t = p / (1 + T - t) + (1 - p)(1 - alpha) / ((1 - alpha) + T (t/T)^alpha - t)`` and
    ``h^2 / p = lambda_t prod_{s<t} (1 - lambda_s)``, T = the number of rows, which must not depend on the rewards.

    >>> two_point(np.array([0.5, 0.5])).round(6).tolist()
    [0.511595, 0.48813]
    """
    if not 0 <= alpha < 1:
        raise ValueError(f"two_point: {alpha!r} must lie in [0, 1)")
    n = len(p)
    t = np.arange(1, n + 1)
    falling = (1 - p) * (1 - alpha) / ((1 - alpha) + n * (t / max(n, 1)) ** alpha - t)
    share = p / (1 + n - t) + falling
    left = np.concatenate([[1.0], np.cumprod(1 - share[:-1])]) if n else np.empty(0)
    return np.sqrt(p * np.maximum(share * left, 0.0))


def previous_block(scores: Floats, blocks: int = 20) -> Floats:
    """1 / sd of the scores of the block before, and 0 in the first block: for policies that look at the context.

    Any weight that is made of earlier rows keeps the scores a martingale; this one evens out the variance where it
    changes slowly (Bibaut et al. 2021; Zhan et al. 2021).

    >>> previous_block(np.array([1.0, 3.0, 0.0, 5.0]), 2).round(6).tolist()
    [0.0, 0.0, 0.707107, 0.707107]
    """
    size = max(1, -(-len(scores) // max(1, blocks)))
    h, spread = np.zeros(len(scores)), 0.0
    for begin in range(0, len(scores), size):
        if begin and spread > 0:
            h[begin : begin + size] = 1 / spread
        block = scores[begin : begin + size]
        spread = float(block.std(ddof=1)) if len(block) > 1 else 0.0
    return h
