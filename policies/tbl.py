"""Thompson sampling with a Bayesian linear regression, for actions that are numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policies.checks import Range, finite
from policies.lm import Floats, grown, matrix, vector
from policies.ridge import invert


class ThompsonBayesianLinear:
    """A Bayesian linear regression that answers with coefficients drawn from its posterior.

    Known noise and a normal prior give a normal posterior. It is kept as its precision P and as J, the precision times
    the mean, to which each observation just adds. A script draws coefficients, and takes the action (a price, say)
    that would be the best if they were true.

    Parameters
    ----------
    default
        ``{"J": ..., "P": ..., "err": ...}``: precision times mean, precision, and variance of the noise (above
        0); or ``{}`` for a standard normal prior with noise variance 1.

    Examples
    --------
    >>> model = ThompsonBayesianLinear({"J": [0, 0, 0], "P": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "err": 1})
    >>> np.random.seed(1)
    >>> for x in np.random.uniform(0, 4, 200):
    ...     model.update(y=4 * x - x**2, x=[1, x, x**2])
    >>> betas = model.sample()
    >>> round(float(-betas[1] / (2 * betas[2])), 1)
    2.0

    References
    ----------
    Kaptein and Kruijswijk (2016). StreamingBandit: a platform for developing adaptive persuasive systems.
    arXiv:1602.06700.
    """

    def __init__(self, default: Mapping[str, Any] | None) -> None:
        theta = default or {}
        self.J = vector(theta.get("J", [0.0, 0.0]))
        self.P = matrix(theta.get("P", np.eye(len(self.J))))
        self.err: float = Range(0, above=True).check("err", theta.get("err", 1.0))
        self._fresh = not theta

    def update(self, y: float, x: Sequence[float], discount: float = 1) -> None:
        """Take in one observation; ``discount`` is its weight. A fresh model takes its size from the first x."""
        row, weight = vector(x), finite(discount, "discount") / self.err
        J, P = (np.zeros(len(row)), np.eye(len(row))) if self._fresh else (self.J, self.P)
        self.J, self.P = grown(J, P, row, weight * finite(y, "y"), weight)
        self._fresh = False

    def sample(self) -> Floats:
        """Coefficients drawn from the posterior."""
        covariance = invert(self.P[None])[0]
        scale = np.sqrt(np.maximum(np.diagonal(covariance), 1e-300))
        values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        noise = vectors @ (np.sqrt(np.maximum(values, 0.0)) * np.random.standard_normal(len(scale)))
        return np.asarray(covariance @ self.J + scale * noise)

    def get_dict(self) -> dict[str, Any]:
        """``{"J": [p], "P": [[p], ...], "err": variance}``."""
        return {"J": self.J.tolist(), "P": self.P.tolist(), "err": self.err}
