"""The logarithm of the probability that an arm is the best, however small it is.

:meth:`policies.quadrature.Scores.best` cuts off what lies below 1e-13; the odds among arms that are all hopeless are
lost in it. Here the same integrals are taken in logarithms. Panels are divided where an integrand has most of its mass
and is not yet smooth, so the few that matter are found wherever they lie.
"""

import numpy as np

from policies.quadrature import NODES, WEIGHTS, Floats, Scores

RARE = 1e-9  # probabilities from here on are exact enough as they are
CERTAIN = 1.0 - 1e-4  # with a less likely leader those that are rare matter to nobody
NEVER = 1e-300
ROUNDS, PARTS = 40, 4
STEEP = 6.0  # an integrand that varies by more than this factor of e within a panel is not smooth
DEEP = 14.0  # panels with less than exp(-14) of the largest one's mass don't matter


def log_best(scores: Scores) -> Floats:
    """``log P(arm is best)`` for each arm; the probabilities sum to one.

    Where one arm is certain but for 1e-4, probabilities below 1e-9 are right to about a thousandth of themselves. Else
    those below 1e-13 may count as 1e-300, which changes the odds among the others by less than 1e-9.
    """
    p = np.array(scores.best())
    if p.min() >= RARE or p.max() <= CERTAIN:
        return np.asarray(np.log(np.maximum(p, NEVER)))
    lower, upper = scores.tails()
    low, high = float(lower.min()), float(upper.max())
    high += 2.0 * (high - low)  # an arm that is rarely the best has much of that mass beyond the leader's
    edges = scores.edges(low, high)
    edges = np.append(edges[:-1:4], edges[-1])  # a coarse start: panels are divided where it matters
    left, right = edges[:-1], edges[1:]
    masses = np.empty((len(p), 0))
    kept = masses
    for _ in range(ROUNDS):
        new, steep = _panels(scores, left, right)
        top = np.concatenate([kept, new], axis=1).max(axis=1, keepdims=True)
        least = np.maximum(STEEP, 1e-12 * np.abs(top))  # steps that rounding makes are no slopes
        split = ((new > top - DEEP) & (steep > least)).any(axis=0)
        kept = np.concatenate([kept, new[:, ~split]], axis=1)
        if not split.any():
            break
        cuts = np.linspace(left[split], right[split], PARTS + 1)
        left, right = cuts[:-1].ravel(), cuts[1:].ravel()
    else:
        kept = np.concatenate([kept, new[:, split]], axis=1)
    logs = np.logaddexp.reduce(kept, axis=1)
    return np.asarray(np.where(p >= RARE, np.log(np.maximum(p, RARE)), logs))


def _panels(scores: Scores, left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Log integral over each panel and how much the log integrand varies there; arms in rows."""
    half = 0.5 * (right - left)[:, None]
    x = (0.5 * (right + left)[:, None] + half * NODES).ravel()
    cdf = scores.log_cdf(x)
    g = (scores.log_density(x) + cdf.sum(axis=0) - cdf).reshape(len(cdf), *half.shape[:1], len(NODES))
    return np.asarray(np.logaddexp.reduce(g + np.log(half * WEIGHTS), axis=2)), np.asarray(np.ptp(g, axis=2))
