"""A value with its standard error and interval, from scores or from sums over units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri

from app.analysis.arrays import Floats, Ints, check_level


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error and both ends of its interval; None where there is none.

    ``detail`` holds what belongs to one kind of estimate only and joins the other fields in JSON.
    """

    value: float | None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    detail: Mapping[str, float | int | str | None] = field(default_factory=dict)


def z_value(level: float) -> float:
    """The standard normal quantile of a two-sided interval.

    >>> round(z_value(0.95), 6)
    1.959964
    """
    return float(ndtri(0.5 + check_level(level) / 2))


def normal(value: float, se: float | None, level: float, **detail: float | int | str | None) -> Estimate:
    """``value`` ± z ``se``.

    >>> normal(0.0, 1.0, 0.95).high == z_value(0.95)
    True
    """
    if se is None or not math.isfinite(se):
        return Estimate(value, None, None, None, detail)
    half = z_value(level) * se
    return Estimate(value, se, value - half, value + half, detail)


def squares(scores: Floats, unit: Ints | None) -> float:
    """The sum of squares of scores of mean zero, summed per unit first.

    >>> squares(np.array([1.0, -1.0, 2.0]), None), squares(np.array([1.0, -1.0, 2.0]), np.array([0, 0, 1]))
    (6.0, 4.0)
    """
    sums = scores if unit is None else np.bincount(unit, weights=scores)
    return float(np.dot(sums, sums))


def standard_error(scores: Floats, unit: Ints | None = None) -> float | None:
    """The standard error of the mean of n scores; None for fewer than two units.

    Without units ``sd(scores, ddof 1) / sqrt(n)``. With G units of sums ``S_g``:
    ``sqrt(G / (G - 1) * sum_g (S_g - mean S)^2) / n`` (Liang and Zeger 1986). Both agree where each row is a unit.

    >>> round(standard_error(np.array([0.0, 1.0, 1.0, 0.0])), 6)
    0.288675
    >>> round(standard_error(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0, 1, 1, 0])), 6)
    0.5
    """
    n = len(scores)
    sums: Floats = scores
    if unit is not None:
        counts: Floats = np.bincount(unit).astype(float)
        sums = np.bincount(unit, weights=scores)[counts > 0].astype(float)
    groups = len(sums)
    if groups < 2:
        return None
    spread = sums - sums.mean()
    return math.sqrt(groups / (groups - 1) * float(np.dot(spread, spread))) / n


def mean_estimate(scores: Floats, unit: Ints | None, level: float, **detail: float | int | str | None) -> Estimate:
    """The mean of scores with a normal interval; the value is None without scores."""
    if not len(scores):
        return Estimate(None, detail=detail)
    return normal(float(scores.mean()), standard_error(scores, unit), level, **detail)
