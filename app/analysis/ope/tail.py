"""How heavy the tail of the weights is; figures that only advise."""

from __future__ import annotations

import math

import numpy as np

from app.analysis.arrays import Floats

DISTINCT = 20  # a tail of fewer different values says nothing about its shape
HILL_TOP = 100


def hill(w: Floats, top: int = HILL_TOP) -> float | None:
    """The Hill estimate of the tail index, ``mean ln(w_(i) / w_(top + 1))`` over the ``top`` largest (Hill 1975).

    The k-th moment of the weights exists only if it is below 1/k. None below 20 different values in the tail.

    >>> round(hill(1 / np.arange(1.0, 1001.0)), 3)
    0.978
    """
    positive = np.sort(w[w > 0])[::-1]
    if len(positive) <= top or len(np.unique(positive[:top])) < DISTINCT:
        return None
    return float(np.log(positive[:top] / positive[top]).mean())


def khat(w: Floats) -> float | None:
    """The shape of a generalised Pareto tail of the weights, as in Pareto smoothed importance sampling.

    The tail is the ``min(n/5, 3 sqrt n)`` largest weights (Vehtari et al. 2024), fitted as Zhang and Stephens (2009)
    do, with the weak prior of the former. Above .7 the mean of the weights is not to be relied on. None below 20
    different values in the tail.
    """
    size = math.ceil(min(len(w) / 5, 3 * math.sqrt(len(w))))
    ordered = np.sort(w)
    if size < 5 or len(np.unique(ordered[-size:])) < DISTINCT:
        return None
    excess = ordered[-size:] - ordered[-size - 1]
    return pareto_shape(excess[excess > 0])


def pareto_shape(excess: Floats) -> float:
    """The shape k of a generalised Pareto distribution of positive, sorted values (Zhang and Stephens 2009).

    A posterior mean over a grid of ``b = -k / sigma``, whose profile likelihood weighs it; then shrunk to .5 with the
    weight of ten observations.

    >>> p = np.arange(0.5, 1000) / 1000
    >>> round(pareto_shape(((1 - p) ** -0.7 - 1) / 0.7), 2)  # the quantiles of shape .7
    0.7
    """
    n = len(excess)
    grid = 30 + int(math.sqrt(n))
    b = 1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = b / (3 * excess[int(n / 4 + 0.5) - 1]) + 1 / excess[-1]
    k = np.log1p(-b[:, None] * excess).mean(axis=1)
    likelihood = n * (np.log(-b / k) - k - 1)
    posterior = np.exp(likelihood - likelihood.max())
    posterior /= posterior.sum()
    shape = float(np.log1p(-float(b @ posterior) * excess).mean())
    return (n * shape + 5) / (n + 10)
