"""The percentile bootstrap, for logs whose probabilities do not depend on the past."""

from __future__ import annotations

import numpy as np

from app.analysis.arrays import Floats, Ints, check_level
from app.analysis.estimate import Estimate


def bootstrap(
    scores: Floats, rng: np.random.Generator, unit: Ints | None = None, level: float = 0.95, times: int = 1000
) -> Estimate:
    """The mean of scores, with the standard deviation and percentiles of ``times`` resamples (Efron 1979).

    Units are drawn with replacement, as many as there are; a resample's value is the sum of its scores over its rows.
    A resample breaks the order in which a learning policy saw the rows, so its log must not be given here.

    >>> found = bootstrap(np.tile([0.0, 1.0], 200), np.random.default_rng(1))
    >>> found.value, abs(found.se - 0.025) < 0.0025
    (0.5, True)
    """
    if len(scores) < 2:
        return Estimate(None)
    sums: Floats = scores
    rows: Floats = np.ones(len(scores))
    if unit is not None:
        counts: Floats = np.bincount(unit).astype(float)
        sums, rows = np.bincount(unit, weights=scores)[counts > 0].astype(float), counts[counts > 0]
    groups = len(sums)
    drawn = np.empty(times)
    for time in range(times):
        taken = np.bincount(rng.integers(0, groups, groups), minlength=groups)
        drawn[time] = float(taken @ sums) / float(taken @ rows)
    alpha = 1.0 - check_level(level)
    low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2])
    return Estimate(float(scores.mean()), float(drawn.std(ddof=1)), float(low), float(high), {"times": times})
