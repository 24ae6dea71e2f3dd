"""Clipped weights: less variance for a bias that is bounded."""

from __future__ import annotations

import numpy as np

from app.analysis.arrays import Floats, Ints
from app.analysis.estimate import Estimate, mean_estimate


def clipped(
    w: Floats,
    reward: Floats,
    clip: float,
    bounds: tuple[float, float] | None = None,
    unit: Ints | None = None,
    level: float = 0.95,
) -> Estimate:
    """``v = mean(min(w, clip) r)`` and ``missing_mass`` ``m = 1 - mean min(w, clip)``: biased towards 0.

    With the ``bounds`` (lo, hi) of the rewards, the value itself lies in ``[v + lo m, v + hi m]``, up to chance:
    ``value_low`` and ``value_high`` (Bottou et al. 2013).

    >>> import numpy as np
    >>> found = clipped(np.array([0.5, 4.0]), np.ones(2), clip=1.0, bounds=(0.0, 1.0))
    >>> found.value, found.detail["missing_mass"], found.detail["value_high"]
    (0.75, 0.25, 1.0)
    """
    if not clip > 0:
        raise ValueError(f"clip: {clip!r} must be a positive number")
    kept = np.minimum(w, clip)
    mass = 1.0 - float(kept.mean()) if len(w) else None
    found = mean_estimate(kept * reward, unit, level)
    detail: dict[str, float | int | str | None] = {"clip": clip, "missing_mass": mass}
    if bounds is not None and found.value is not None and mass is not None:
        ends = [found.value + bound * mass for bound in bounds]
        detail |= {"value_low": min(ends), "value_high": max(ends)}
    return Estimate(found.value, found.se, found.low, found.high, detail)
