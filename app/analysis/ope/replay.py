"""Replay: only the decisions count in which the candidate would have done the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from app.analysis.arrays import Bools, Floats
from app.analysis.estimate import Estimate, mean_estimate
from app.analysis.log import DecisionLog


def replay(
    log: DecisionLog, pi: Floats, rng: np.random.Generator, bound: float | None = None, level: float = 0.95
) -> Estimate:
    """The mean reward of the rows in which a draw of the candidate equals the logged arm; ``rows`` counts them.

    Under uniform logging (Li et al. 2011) nothing more is needed. Elsewhere a row is accepted with probability
    ``pi / (bound p)``, and ``bound >= max pi/p`` must be known beforehand (Dudik et al. 2012). Raises ValueError
    where it is needed and absent, or too small.

    Parameters
    ----------
    pi
        The candidate's probabilities, shape (n, K).
    rng
        Draws the candidate's arms, or accepts.
    bound
        ``None`` for uniform logs.
    """
    if bound is None:
        if not uniform_log(log):
            raise ValueError("replay: the log is not uniform, so bound is needed: a promise that pi/p never exceeds it")
        accepted = _draw(pi, rng) == log.chosen
    else:
        accept = pi[np.arange(len(log)), log.chosen] / log.propensity / bound
        if (accept > 1 + 1e-12).any():
            raise ValueError(f"bound: {bound!r} is exceeded by pi/p in row {int(np.argmax(accept))}")
        accepted = rng.random(len(log)) < accept
    return _mean(log, accepted, level)


def replay_learning(
    log: DecisionLog,
    choose: Callable[[int], int],
    learn: Callable[[int, int, float], None],
    level: float = 0.95,
) -> Estimate:
    """The same for a policy that learns: ``choose(row)`` gives an arm's index, ``learn(row, arm, reward)`` follows
    the rows that it accepts, and no others (Li et al. 2011). Raises ValueError unless the log is uniform.
    """
    if not uniform_log(log):
        raise ValueError("replay: a policy that learns can only be replayed on a log of uniform decisions")
    accepted = np.zeros(len(log), dtype=bool)
    for row, (arm, reward) in enumerate(zip(log.chosen.tolist(), log.reward.tolist(), strict=True)):
        if choose(row) == arm:
            accepted[row] = True
            learn(row, arm, reward)
    return _mean(log, accepted, level)


def uniform_log(log: DecisionLog) -> bool:
    """Whether every decision was drawn with equal probabilities of all the arms that were offered."""
    offered = np.full(len(log), len(log.arms)) if log.offered is None else log.offered.sum(axis=1)
    return bool((np.abs(log.propensity * offered - 1.0) <= 1e-9).all())


def _draw(pi: Floats, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    cumulative = np.cumsum(pi, axis=1)
    below = rng.random(len(pi))[:, None] * cumulative[:, -1:] >= cumulative
    return np.asarray(np.minimum(below.sum(axis=1), pi.shape[1] - 1))


def _mean(log: DecisionLog, accepted: Bools, level: float) -> Estimate:
    unit = None if log.unit is None else log.unit[accepted]
    return mean_estimate(log.reward[accepted], unit, level, rows=int(accepted.sum()))
