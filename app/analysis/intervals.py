"""Intervals of 95 % for means."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

from scipy.special import stdtrit

# So many standard errors on either side of the mean of many values make a 95 % interval.
Z_95 = 1.96
_UPPER = 0.975


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % interval by Student's t; the half width of one value is 0.

    The half width is t(0.975; n - 1) * s / sqrt(n), with s the standard deviation of the sample. Raises
    ``statistics.StatisticsError`` if there are no values.

    >>> mean, half = mean_interval([1.0, 2.0, 3.0])
    >>> mean, round(half, 4)
    (2.0, 2.4841)
    """
    mean = fmean(values)
    if len(values) == 1:
        return mean, 0.0
    freedom = len(values) - 1
    half = stdtrit(freedom, _UPPER) * sqrt(sum((value - mean) ** 2 for value in values) / freedom / len(values))
    return mean, float(half)
