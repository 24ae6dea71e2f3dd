"""Scores whose mean is what an arm earns, however the log chose."""

from __future__ import annotations

import numpy as np

from app.analysis.arrays import Bools, Floats
from app.analysis.betting import running_means
from app.analysis.log import DecisionLog
from app.analysis.ridge import forward

_ROWS = 65536


def arm_scores(log: DecisionLog, predicted: Floats | None = None) -> Floats:
    """``G_t(a) = m_t(a) + 1{A_t = a} (r - m_t(a)) / p_t(a)``, shape (n, K): augmented inverse propensity weighting.

    ``m`` is the running mean of the arm before row t, 0 before its first reward, or ``predicted``, which must be made
    of earlier rows. Given the past, a score's mean is the arm's, so that scores minus means are a martingale although
    the log is adaptive (Robins, Rotnitzky and Zhao 1994; Hadad et al. 2021).

    >>> log = DecisionLog(("a", "b"), np.array([0, 0]), np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    >>> arm_scores(log).tolist()
    [[2.0, 0.0], [-1.0, 0.0]]
    """
    m = running(log) if predicted is None else predicted.copy()
    rows = np.arange(len(log))
    own = m[rows, log.chosen]
    m[rows, log.chosen] = own + (log.reward - own) / log.propensity
    return m


def running(log: DecisionLog) -> Floats:
    """The mean of each arm before each row, shape (n, K)."""
    found = np.empty((len(log), len(log.arms)))
    counts, sums = np.zeros(len(log.arms)), np.zeros(len(log.arms))
    for begin in range(0, len(log), _ROWS):
        at = slice(begin, begin + _ROWS)
        found[at], counts, sums = running_means(log.chosen[at], log.reward[at], counts, sums)
    return found


def predicted(log: DecisionLog, x: Floats, penalty: float = 1.0, blocks: int = 20) -> Floats:
    """The forward predictions ``q_t(x, a)``, shape (n, K)."""
    found = np.empty((len(log), len(log.arms)))
    for at, q in forward(log, x, penalty, blocks):
        found[at] = q
    return found


def available(log: DecisionLog, arm: int) -> Bools:
    """The rows in which an arm could be chosen: not before it was added, nor while it was paused.

    Without a pmf nothing tells of pauses, and all rows in which the arm was offered count.
    """
    if log.pmf is not None:
        return np.asarray(log.pmf[:, arm] > 0)
    return np.ones(len(log), dtype=bool) if log.offered is None else log.offered[:, arm]
