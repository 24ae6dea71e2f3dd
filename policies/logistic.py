"""Thompson sampling for rewards of zero and one whose log-odds are linear in the context."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.special as sc

from policies.policy import Arm, Theta
from policies.posterior import PosteriorPolicy
from policies.quadrature import Floats, NormalScores
from policies.ridge import ArmRegressions, invert


class LogisticThompson(ArmRegressions, PosteriorPolicy):
    """Thompson sampling with a Bayesian logistic regression for each arm.

    Clicks are not normal: their log-odds are linear in the context rather than their mean. The posterior isn't of a
    known form, so it is kept as a normal with mean m and precision P (Laplace's approximation): the mean moves to the
    most likely value given the old posterior and the new reward, and the curvature there is added to the precision.
    As for the linear policy, only the score of the context needs to be drawn.

    Parameters
    ----------
    theta
        ``{arm: {"m": [...], "P": [[...], ...]}}``: mean and precision of the coefficients. Older theta with ``"q"``,
        the precisions of independent coefficients, is read.
    arms
        The arms.
    lam
        Prior precision of the coefficients.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = LogisticThompson({}, ["a", "b"])
    >>> for x, arm, reward in (([1, 0], "a", 1), ([0, 1], "b", 1), ([1, 0], "b", 0), ([0, 1], "a", 0)):
    ...     policy.update(arm, reward, x)
    >>> round(policy.probabilities([1, 0])["a"], 6)
    0.736189

    References
    ----------
    Chapelle and Li (2011). An empirical evaluation of Thompson sampling. NIPS 24. Algorithm 3.
    """

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], lam: float = 1.0, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor, lam=lam)

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        found = self._features(context, [name])
        x = found.x[0]
        mean, precision = (each[0] for each in self._state([name], len(x)))
        direction = invert(precision[None])[0] @ x
        score, variance = float(x @ mean), max(float(x @ direction), 0.0)
        step = map_step(score, variance, min(1.0, max(0.0, reward)))
        p = float(sc.expit(score + step * variance))
        precision = precision + p * (1.0 - p) * np.outer(x, x)
        theta = {"m": (mean + step * direction).tolist(), "P": precision.tolist()}
        self.theta[name] = theta if found.names is None else {**theta, "names": found.names}

    def _state(self, names: list[str], d: int) -> tuple[Floats, Floats]:
        """Means (arms, d) and precisions (arms, d, d)."""
        thetas = [self.theta.get(name) or {"m": [0.0] * d, "q": [self.lam] * d} for name in names]
        if any(len(theta["m"]) != d for theta in thetas):
            raise ValueError(f"the context has {d} features, theta another number")
        # Older theta has "q" instead of "P", the precisions of coefficients that are independent.
        precisions = [theta["P"] if "P" in theta else np.diag(theta["q"]) for theta in thetas]
        return np.array([theta["m"] for theta in thetas], dtype=float), np.array(precisions, dtype=float)

    def _scores(self, context: Any) -> NormalScores:
        """The arms' log-odds."""
        x = self._features(context, self.names).x
        mean, precision = self._state(self.names, x.shape[1])
        variance = np.einsum("ki,kij,kj->k", x, invert(precision), x)
        return NormalScores(np.einsum("ki,ki->k", x, mean), np.sqrt(np.maximum(variance, 0.0)))


def map_step(score: float, variance: float, reward: float) -> float:
    """Solve ``c = reward - expit(score + c * variance)``.

    The most likely coefficients lie on the line through the old ones in the direction ``x / P``, at the distance c.
    The right side falls with c and lies between -1 and 1, so Newton's steps that leave the bracket are halved instead.

    >>> round(map_step(0.0, 4.0, 1.0), 6)
    0.260649
    """
    low, high = reward - 1.0, reward
    c = 0.5 * (low + high)
    for _ in range(60):
        p = float(sc.expit(score + c * variance))
        excess = c - reward + p
        low, high = (low, c) if excess > 0.0 else (c, high)
        newton = c - excess / (1.0 + variance * p * (1.0 - p))
        step = newton if low < newton < high else 0.5 * (low + high)
        if abs(step - c) <= 1e-14:
            break
        c = step
    return c
