"""Logs of four policies, many at once: a step is made for all runs together."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from app.analysis.log import DecisionLog

Floats = npt.NDArray[np.float64]
# Means by context and arm; two fifths of the contexts are 1.
MEANS = np.array([[0.5, 0.4], [0.3, 0.6]])
SHARE = 0.4
ARMS = (1 - SHARE) * MEANS[0] + SHARE * MEANS[1]
FLOOR = 0.1


def _floored(p: Floats) -> Floats:
    return (1 - FLOOR) * p + FLOOR / 2


def _uniform(n: Floats, s: Floats, x: npt.NDArray[np.int64]) -> Floats:
    return np.full(len(x), 0.5)


def _greedy(n: Floats, s: Floats, x: npt.NDArray[np.int64]) -> Floats:
    """The arm with the higher mean, whatever the context; ties share."""
    means = (s.sum(axis=1) + 0.5) / (n.sum(axis=1) + 1)
    return _floored(0.5 + 0.5 * np.sign(means[:, 1] - means[:, 0]))


def _thompson(n: Floats, s: Floats, x: npt.NDArray[np.int64]) -> Floats:
    """The probability that b is better, whatever the context, under normal posteriors."""
    pulls, wins = n.sum(axis=1) + 2, s.sum(axis=1) + 1
    means, spread = wins / pulls, (0.25 / pulls).sum(axis=1)
    return _floored(ndtr((means[:, 1] - means[:, 0]) / np.sqrt(spread)))


def _linucb(n: Floats, s: Floats, x: npt.NDArray[np.int64]) -> Floats:
    """The arm with the higher bound in this context, by one ridge regression per arm on its indicators."""
    rows = np.arange(len(x))
    pulls = n[rows, x] + 1
    bounds = s[rows, x] / pulls + 1 / np.sqrt(pulls)
    return _floored(0.5 + 0.5 * np.sign(bounds[:, 1] - bounds[:, 0]))


POLICIES: dict[str, Callable[[Floats, Floats, npt.NDArray[np.int64]], Floats]] = {
    "uniform": _uniform,
    "epsilon-greedy": _greedy,
    "Thompson": _thompson,
    "LinUCB": _linucb,
}


def simulated(policy: str, runs: int, rows: int, seed: int) -> Iterator[DecisionLog]:
    """One log per run; each policy learns from every reward before the next decision."""
    rng, act = np.random.default_rng(seed), POLICIES[policy]
    xs = (rng.random((rows, runs)) < SHARE).astype(np.int64)
    u, v = rng.random((rows, runs)), rng.random((rows, runs))
    # Pulls and rewards of each run by context and arm.
    n, s, each = np.zeros((runs, 2, 2)), np.zeros((runs, 2, 2)), np.arange(runs)
    p_b, chosen, reward = np.empty((rows, runs)), np.empty((rows, runs), dtype=np.int64), np.empty((rows, runs))
    for t in range(rows):
        p_b[t] = act(n, s, xs[t])
        chosen[t] = u[t] < p_b[t]
        reward[t] = v[t] < MEANS[xs[t], chosen[t]]
        n[each, xs[t], chosen[t]] += 1
        s[each, xs[t], chosen[t]] += reward[t]
    for run in range(runs):
        pmf = np.stack([1 - p_b[:, run], p_b[:, run]], axis=1)
        own = pmf[np.arange(rows), chosen[:, run]]
        context = {"x": xs[:, run]}
        yield DecisionLog(("a", "b"), chosen[:, run], own, reward[:, run], pmf, context=context, lo=0.0, hi=1.0)
