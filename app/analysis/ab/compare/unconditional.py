"""What Barnard's and Boschloo's tests share: the largest probability of a set of tables over the unknown rate."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, xlog1py, xlogy

from app.analysis.ab.statistic import Floats

MAX_USERS = 200
_POINTS = 1200  # on the scale of arcsin √π binomial probabilities are equally smooth everywhere

Tables = np.ndarray[tuple[int, int], np.dtype[np.bool_]]


def supremum(extreme: Tables) -> float:
    """max over π of the probability of the ``extreme`` tables, if both arms convert at the rate π.

    ``extreme[x₁, x₂]`` tells which tables of conversions of control and treatment count.

    >>> supremum(np.array([[True, False], [False, True]]))  # π² + (1-π)² is 1 at both ends
    1.0
    """
    if extreme[0, 0] or extreme[-1, -1]:
        return 1.0  # the corners are certain at π = 0 and π = 1
    angles = np.linspace(0.0, 0.5 * np.pi, _POINTS)
    values = _probability(extreme, angles)
    best = float(values.max())
    peaks = [
        i for i in range(1, _POINTS - 1) if values[i - 1] <= values[i] >= values[i + 1] and values[i] > 0.98 * best
    ]
    for i in peaks:
        found = minimize_scalar(
            lambda angle: -float(_probability(extreme, np.array([angle]))[0]),
            bounds=(angles[i - 1], angles[i + 1]),
            method="bounded",
            options={"xatol": 1e-10},
        )
        best = max(best, -float(found.fun))
    return min(1.0, best)


def _probability(extreme: Tables, angles: Floats) -> Floats:
    rates = np.sin(angles) ** 2
    first, second = (_binomial(size - 1, rates) for size in extreme.shape)
    return np.asarray(((first @ extreme) * second).sum(axis=1))


def _binomial(n: int, rates: Floats) -> Floats:
    """Probabilities of 0..n conversions, by rate in rows."""
    k = np.arange(n + 1.0)
    log_choose = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    p = rates[:, None]
    return np.asarray(np.exp(log_choose + xlogy(k, p) + xlog1py(n - k, -p)))
