"""The asymptotic confidence sequence: an interval for a mean that holds at all times, without bounds on the scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from app.analysis.arrays import Floats, check_level

BEGIN = 100  # the row from which on it stands, and at which its width is tuned
HORIZON = 10_000


@dataclass(frozen=True)
class AlwaysValid:
    """The mean of scores and an interval that one may look at daily; ``rho2`` tunes it to the horizon."""

    value: float
    low: float
    high: float
    radius: float
    rho2: float


def always_valid(scores: Floats, level: float = 0.95, horizon: int = HORIZON) -> AlwaysValid | None:
    """``mean ± sqrt((1 + rho2 V) / rho2 (2 ln(1/alpha) + ln(1 + rho2 V))) / t``, V = sum of squared deviations.

    ``rho2 = c / V*`` with ``c = -2 ln alpha + ln(-2 ln alpha + 1)`` and ``V* = V_100 horizon / 100``, fixed at row 100:
    narrowest near ``horizon`` rows, valid at every one (Robbins 1970; Waudby-Smith et al. 2024). None before row 100,
    or if all scores up to it are equal.

    >>> found = always_valid(np.tile([0.0, 1.0], 200), horizon=400)
    >>> found.value, round(found.radius, 6)
    (0.5, 0.07588)
    """
    alpha = 1.0 - check_level(level)
    if horizon < BEGIN:
        raise ValueError(f"horizon: {horizon!r} must be {BEGIN} rows or more")
    n = len(scores)
    if n < BEGIN:
        return None
    first = scores[:BEGIN] - scores[:BEGIN].mean()
    expected = float(np.dot(first, first)) * horizon / BEGIN
    if expected <= 0:
        return None
    c = -2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)
    rho2, value = c / expected, float(scores.mean())
    v = float(((scores - value) ** 2).sum())
    radius = math.sqrt((1 + rho2 * v) / rho2 * (2 * math.log(1 / alpha) + math.log1p(rho2 * v))) / n
    return AlwaysValid(value, value - radius, value + radius, radius, rho2)
