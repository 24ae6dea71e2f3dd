"""The direct method."""

from __future__ import annotations

from app.analysis.estimate import Estimate
from app.analysis.ridge import Predictions


def dm(predictions: Predictions) -> Estimate:
    """``mean sum_a pi(a) q(a)`` with a model of all rows: no interval, for it is as good as its model.

    >>> import numpy as np
    >>> dm(Predictions(np.zeros(2), np.array([0.25, 0.75]))).value
    0.5
    """
    return Estimate(float(predictions.expected.mean()) if len(predictions.expected) else None)
