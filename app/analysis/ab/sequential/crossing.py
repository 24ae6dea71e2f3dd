"""The probability that a test statistic crosses a boundary, look by look, by recursive numerical integration.

The score S of a group sequential test is a Brownian motion with drift, seen at information times t₁ < ... < t_K, and
Z_k = S(t_k)/√t_k. The density of S over the paths that have not crossed yet is carried from look to look.
Source: Armitage, McPherson, Rowe (1969), JRSS A 132:235; Jennison, Turnbull (2000), Group Sequential
Methods, chapter 19.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, pi, sqrt

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import ndtr

from app.analysis.ab.statistic import Floats

_REACH = 9.0  # standard deviations beyond which no mass is carried: what is cut off is below 1e-18


@dataclass(frozen=True)
class Path:
    """The paths that have not crossed so far, as a density of S at nodes with weights.

    ``time`` is the information so far (0 before the first look), ``drift`` the mean of S(1).
    """

    drift: float = 0.0
    time: float = 0.0
    nodes: Floats | None = None
    mass: Floats | None = None  # density times weight

    def exits(self, time: float, z: float) -> float:
        """The probability of a first crossing of ±z at the look at ``time``."""
        step, bound = time - self.time, z * sqrt(time)
        scale, shift = sqrt(step), self.drift * step
        if self.nodes is None or self.mass is None:
            return float(ndtr((-bound - shift) / scale) + ndtr((shift - bound) / scale))
        start = self.nodes + shift
        return float(self.mass @ (ndtr((-bound - start) / scale) + ndtr((start - bound) / scale)))

    def carried(self, time: float, z: float, next_time: float | None = None) -> Path:
        """The paths that are still within ±z after the look at ``time``; ``next_time`` is that of the next look."""
        step = time - self.time
        centre, reach = self.drift * time, _REACH * sqrt(time)
        low, high = max(-z * sqrt(time), centre - reach), min(z * sqrt(time), centre + reach)
        finest = sqrt(min(step, (next_time or 2.0 * time) - time))
        x, weights = _rule(_size(high - low, finest))
        half = 0.5 * (high - low)
        nodes = 0.5 * (high + low) + half * x
        if self.nodes is None or self.mass is None:
            density = _normal(nodes - self.drift * step, step)
        else:
            density = _normal(nodes[:, None] - self.nodes[None, :] - self.drift * step, step) @ self.mass
        return Path(self.drift, time, nodes, density * half * weights)


def crossing_probabilities(times: Sequence[float], z: Sequence[float], drift: float = 0.0) -> tuple[float, ...]:
    """By look, the probability that |Z| first reaches its boundary there.

    ``times`` increase; ``drift`` is the mean of Z at time 1.

    >>> round(sum(crossing_probabilities([0.5, 1.0], [1.959964, 1.959964])), 6)  # two looks, not corrected
    0.083118
    """
    path, found = Path(drift), []
    for k, (time, bound) in enumerate(zip(times, z, strict=True)):
        found.append(path.exits(time, bound))
        if k + 1 < len(times):
            path = path.carried(time, bound, times[k + 1])
    return tuple(found)


def _size(width: float, finest: float) -> int:
    # Gauss-Legendre nodes lie π/2 times as far apart in the middle as on average. At half a standard deviation of the
    # narrowest bell the error of the rule is below rounding; the sizes are few, so that the rules are cached.
    nodes = 48 + pi * width / finest
    return min(2400, 16 * ceil(nodes / 16.0))


@lru_cache(maxsize=256)
def _rule(size: int) -> tuple[Floats, Floats]:
    x, weights = leggauss(size)
    return x, weights


def _normal(x: Floats, variance: float) -> Floats:
    return np.asarray(np.exp(-0.5 * x * x / variance) / sqrt(2.0 * pi * variance))
