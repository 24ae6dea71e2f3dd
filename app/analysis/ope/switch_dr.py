"""The doubly robust estimator that trusts the model where weights are large."""

from __future__ import annotations

import math

import numpy as np

from app.analysis.arrays import Floats, Ints
from app.analysis.estimate import Estimate
from app.analysis.ope.dr import dr
from app.analysis.ridge import Predictions

TAUS = (1.0, 2.0, 5.0, 10.0, 20.0, math.inf)


def switch_dr(
    w: Floats, reward: Floats, predictions: Predictions, tau: float, unit: Ints | None = None, level: float = 0.95
) -> Estimate:
    """As :func:`dr`, with w := 0 where w > ``tau`` (Wang, Agarwal and Dudik 2017).

    ``above`` is ``mean(w 1{w > tau})``, the share of the candidate that is left to the model: times the range of the
    rewards it bounds the bias.

    >>> import numpy as np
    >>> q = Predictions(np.zeros(2), np.array([0.5, 0.5]))
    >>> found = switch_dr(np.array([1.0, 4.0]), np.ones(2), q, tau=2.0)
    >>> found.value, found.detail["above"]
    (1.0, 2.0)
    """
    if not tau > 0:
        raise ValueError(f"tau: {tau!r} must be a positive number or 'auto'")
    above = float((w * (w > tau)).sum() / max(1, len(w)))
    kept = dr(np.where(w > tau, 0.0, w), reward, predictions, unit, level)
    return Estimate(kept.value, kept.se, kept.low, kept.high, {"tau": tau, "above": above})


def switch_auto(
    w: Floats,
    reward: Floats,
    predictions: Predictions,
    span: float,
    unit: Ints | None = None,
    level: float = 0.95,
) -> Estimate:
    """:func:`switch_dr` with the tau of 1, 2, 5, 10, 20, inf that makes ``se^2 + (span * above)^2`` least.

    ``span`` is the range of the rewards, ``hi - lo``. Of equals the smallest tau is taken.
    """
    found = [switch_dr(w, reward, predictions, tau, unit, level) for tau in TAUS]
    return min(found, key=lambda one: (one.se or 0.0) ** 2 + (span * float(one.detail["above"] or 0.0)) ** 2)
