"""The doubly robust estimator."""

from __future__ import annotations

from app.analysis.arrays import Floats, Ints
from app.analysis.estimate import Estimate, mean_estimate
from app.analysis.ridge import Predictions


def dr_scores(w: Floats, reward: Floats, predictions: Predictions) -> Floats:
    """``s = sum_a pi(a) q(a) + w (r - q(a_t))``, shape (n,).

    >>> import numpy as np
    >>> q = Predictions(np.array([0.5]), np.array([0.4]))
    >>> dr_scores(np.array([2.0]), np.array([1.0]), q).tolist()
    [1.4]
    """
    return predictions.expected + w * (reward - predictions.own)


def dr(w: Floats, reward: Floats, predictions: Predictions, unit: Ints | None = None, level: float = 0.95) -> Estimate:
    """The mean of the scores (Dudik, Langford and Li 2011); with predictions of earlier rows they are a martingale.

    >>> import numpy as np
    >>> nothing = Predictions(np.zeros(4), np.zeros(4))
    >>> dr(np.array([2.0, 0.0, 2.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0]), nothing).value
    0.5
    """
    return mean_estimate(dr_scores(w, reward, predictions), unit, level)
