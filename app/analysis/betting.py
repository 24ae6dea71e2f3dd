"""Confidence sequences for a mean of bounded rewards: valid at all times together, so one may look at any time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from app.analysis.arrays import Floats, Ints, check_bounds, check_level

# Rewards in [0, 1], and whether they stand for 1 - r: what is predicted of each weighted reward, and its mean.
Controls = Callable[[Floats, bool], tuple[Floats, Floats]]
_ROWS = 65536
K = 3.0  # the truncation that was narrowest in simulations; 0 ignores the arm means, 30 is wider again


@dataclass(frozen=True)
class ConfidenceSequence:
    """An interval that holds at all times together with the stated probability."""

    low: float
    high: float
    method: str = "betting"
    k: float = 0.0


def betting_sequence(
    w: Floats,
    reward: Floats,
    lo: float | None,
    hi: float | None,
    level: float = 0.95,
    *,
    controls: Controls | None = None,
    k: float = K,
) -> ConfidenceSequence:
    """The value of a target policy, by betting against every value that it could have.

    ``L = sup{m: max_s sum_{t<=s} ln(1 + bet_t(m)(phi_t - m)) >= ln(2/alpha)}``, rewards rescaled to [0, 1]; the upper
    end is one minus the lower of ``1 - r``. It needs no bound on the weights and holds, if wide, without support
    (Waudby-Smith and Ramdas 2024; Karampatziakis et al. 2021; Waudby-Smith et al. 2022).

    Parameters
    ----------
    w
        Importance weights in the order of decisions, shape (n,).
    reward
        Their rewards, between ``lo`` and ``hi``.
    controls
        Gives what is predicted of ``w r`` and its mean, each of shape (n,) and made from earlier rows only: see
        :func:`arm_controls`. None: no prediction.
    k
        Predictions are cut at it. Only used with ``controls``.

    >>> rewards = np.tile([1.0, 0.0, 0.0, 1.0], 100)
    >>> found = betting_sequence(np.ones(400), rewards, 0.0, 1.0)
    >>> round(found.low, 10), round(found.high, 10)
    (0.4079526747, 0.5914275697)
    """
    lo, hi = check_bounds(lo, hi)
    alpha = 1.0 - check_level(level)
    r = (reward - lo) / (hi - lo)
    used = k if controls is not None else 0.0
    low = _lower(_scores(w, r, False, controls), used, alpha)
    high = 1.0 - _lower(_scores(w, r, True, controls), used, alpha)
    # Both ends are right together; where they cross, no value is left and the nearest point stands for it.
    return ConfidenceSequence(lo + (hi - lo) * low, lo + (hi - lo) * max(low, high), "betting", used)


def arm_controls(pi: Floats, pmf: Floats, chosen: Ints, w: Floats, k: float = K) -> Controls:
    """Predictions by the running mean q of each arm, 0 before its first reward (so 1 of ``1 - r``).

    Answers a function that gives ``min(w q(a_t), k)`` and its mean under the log, ``sum_a min(pi(a) q(a), k p(a))``.
    """

    def predictions(r: Floats, flipped: bool) -> tuple[Floats, Floats]:
        own, mean = np.empty(len(r)), np.empty(len(r))
        counts, sums = np.zeros(pi.shape[1]), np.zeros(pi.shape[1])
        rows = max(256, _ROWS // max(1, pi.shape[1]))
        for begin in range(0, len(r), rows):
            at = slice(begin, begin + rows)
            q, counts, sums = running_means(chosen[at], r[at], counts, sums)
            q = 1.0 - q if flipped else q
            own[at] = np.minimum(w[at] * q[np.arange(len(q)), chosen[at]], k)
            mean[at] = np.minimum(pi[at] * q, k * pmf[at]).sum(axis=1)
        return own, mean

    return predictions


def running_means(chosen: Ints, r: Floats, counts: Floats, sums: Floats) -> tuple[Floats, Floats, Floats]:
    """The mean of each arm before each row, shape (n, K), and the counts and sums after the last.

    >>> q, n, s = running_means(np.array([0, 0, 1]), np.array([1.0, 0.0, 1.0]), np.zeros(2), np.zeros(2))
    >>> q.tolist(), n.tolist(), s.tolist()
    ([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0]], [2.0, 1.0], [1.0, 1.0])
    """
    drawn = np.zeros((len(r), len(counts)))
    drawn[np.arange(len(r)), chosen] = 1.0
    n = counts + np.cumsum(drawn, axis=0)
    s = sums + np.cumsum(drawn * r[:, None], axis=0)
    before = np.vstack([counts, n])[:-1]
    q = np.vstack([sums, s])[:-1] / np.maximum(before, 1.0)
    return q, (n[-1] if len(r) else counts), (s[-1] if len(r) else sums)


def _scores(w: Floats, r: Floats, flipped: bool, controls: Controls | None) -> Floats:
    weighted = w * (1.0 - r) if flipped else w * r
    if controls is None:
        return weighted
    own, mean = controls(r, flipped)
    return weighted - own + mean


def _bets(phi: Floats, alpha: float) -> Floats:
    """``l_t``: the size of each bet, from the spread of the scores before it."""
    t = np.arange(1, len(phi) + 1)
    mu = np.clip((0.5 + np.cumsum(phi)) / (t + 1), 0.0, 1.0)
    v = (0.25 + np.cumsum((phi - mu) ** 2)) / (t + 1)
    earlier = np.concatenate([[0.25], v[:-1]])
    return np.asarray(np.sqrt(2 * math.log(2 / alpha) / (earlier * t * np.log1p(t))))


def _lower(phi: Floats, k: float, alpha: float) -> float:
    if not len(phi):
        return 0.0
    bets, goal = _bets(phi, alpha), math.log(2 / alpha)

    def won(m: float) -> float:
        # At m = 0 without truncation nothing limits the bet.
        limit = 1 / (2 * (m + k)) if m + k > 0 else math.inf
        return float(np.cumsum(np.log1p(np.minimum(bets, limit) * (phi - m))).max()) - goal

    # What is won falls as m grows, so there is one crossing at most.
    if won(0.0) < 0:
        return 0.0
    if won(1.0) >= 0:
        return 1.0
    return float(brentq(won, 0.0, 1.0, xtol=1e-15, rtol=4 * np.finfo(float).eps))
