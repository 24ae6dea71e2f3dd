"""Intervals of 95 % for means and rates, and quantiles of what repetitions came to."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from app.domain.moments import Moments, moments_of

BOOTSTRAP_FROM = 30  # values: fewer do not show the shape of a skewed distribution
_RESAMPLES = 2_000
_SEED = 1  # the same values always get the same interval
_UPPER = 0.975
Floats = NDArray[np.float64]


class MeanInterval(NamedTuple):
    """Both ends of a 95 % interval of a mean or a rate."""

    low: float
    high: float


def wilson(successes: float, n: int) -> MeanInterval:
    """Return the 95 % interval of a rate by Wilson's score (1927); it has a width even after 0 of ``n``.

    The ends are (k + z^2/2 -+ z sqrt(k (n - k) / n + z^2/4)) / (n + z^2).

    >>> low, high = wilson(0, 4)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.49)
    """
    z = float(ndtri(_UPPER))
    middle, half = successes + z * z / 2, z * sqrt(successes * (n - successes) / n + z * z / 4)
    return MeanInterval(max(0.0, (middle - half) / (n + z * z)), min(1.0, (middle + half) / (n + z * z)))


def student(moments: Moments) -> MeanInterval | None:
    """Return the 95 % interval of a mean by Student's t, mean -+ t(.975; n - 1) s / sqrt(n); None if s is 0.

    >>> [round(end, 4) for end in student(moments_of([1.0, 2.0, 3.0]))]
    [-0.4841, 4.4841]
    """
    error = moments.standard_error
    if error is None:
        return None
    half = float(stdtrit(moments.count - 1, _UPPER)) * error
    return MeanInterval(moments.mean - half, moments.mean + half)


def mean_interval(values: Sequence[float]) -> MeanInterval | None:
    """Return the 95 % interval of the mean: by Student's t below ``BOOTSTRAP_FROM`` values, else by bootstrap-t.

    None if the values are all equal, or only one.
    """
    if moments_of(values).standard_error is None:
        return None
    low, high = mean_intervals(np.asarray(values, dtype=float)[:, None])
    return MeanInterval(float(low[0]), float(high[0]))


def mean_intervals(values: Floats) -> tuple[Floats, Floats]:
    """Return both ends of the interval of each column's mean, as ``mean_interval`` does; no width if s is 0.

    ``values`` has a row for each repetition, two at least, and a column for each point.
    """
    n = len(values)
    means = values.mean(axis=0)
    centred = values - means
    errors = np.sqrt((centred**2).sum(axis=0) / (n - 1) / n)
    if n < BOOTSTRAP_FROM:
        half = float(stdtrit(n - 1, _UPPER)) * errors
        return means - half, means + half
    below, above = _bootstrap_t(centred)
    return means - above * errors, means - below * errors


def _bootstrap_t(centred: Floats) -> tuple[Floats, Floats]:
    """Return the 2.5 % and 97.5 % quantiles of t* = (mean* - mean) / se* over resamples.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 12.5.

    All columns share the resamples, so that one matrix product gives every mean, and another every square.
    """
    n = len(centred)
    weights = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES).astype(float)
    means = weights @ centred / n
    variances = np.maximum(weights @ centred**2 / n - means**2, 0) * n / (n - 1)
    # A resample of equal values has no t*; a column of equal values has no interval.
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(variances > 0, means / np.sqrt(variances / n), 0.0)
    below, above = np.quantile(t, [1 - _UPPER, _UPPER], axis=0)
    return below, above


def quantiles(values: Sequence[float], at: Sequence[float] = (0.05, 0.5, 0.95)) -> list[float]:
    """Return quantiles of the values, interpolated linearly between neighbours.

    >>> quantiles([3.0, 1.0, 2.0], at=[0, 0.5, 1])
    [1.0, 2.0, 3.0]
    """
    found: Any = np.quantile(np.asarray(values, dtype=float), list(at))
    return [float(one) for one in found]
