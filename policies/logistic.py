"""Thompson sampling for rewards of zero and one whose log-odds are linear in the context."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import scipy.special as sc

from policies.policy import Arm, Policy, Theta, finite
from policies.quadrature import Floats, NormalScores
from policies.ridge import features


class LogisticThompson(Policy):
    """Thompson sampling with a Bayesian logistic regression for each arm.

    Clicks are not normal: their log-odds are linear in the context rather than their mean. The posterior isn't of a
    known form, so it is kept as a normal with independent coefficients (Laplace's approximation): the mean moves to
    the most likely value given the old posterior and the new reward, the precisions grow by the curvature there. As
    for the linear policy, only the score of the context needs to be drawn.

    Parameters
    ----------
    theta
        ``{arm: {"m": [...], "q": [...]}}``: means and precisions of the coefficients.
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

    contextual: ClassVar[bool] = True

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], lam: float = 1.0, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor)
        self.lam = lam

    def update(self, arm: Any, reward: float, context: Any = None, propensity: float | None = None) -> None:
        """Learn from one reward, a success (1) or a failure (0), or a part of a success; others are clipped."""
        name = str(arm)
        x = features(context, [name])[0]
        mean, precision = (each[0] for each in self._state([name], len(x)))
        direction = x / precision
        score, variance = float(x @ mean), float(x @ direction)
        step = map_step(score, variance, min(1.0, max(0.0, finite(reward))))
        p = float(sc.expit(score + step * variance))
        precision = precision + p * (1.0 - p) * x**2
        self.theta[name] = {"m": (mean + step * direction).tolist(), "q": precision.tolist()}

    def _state(self, names: list[str], d: int) -> tuple[Floats, Floats]:
        fresh = {"m": [0.0] * d, "q": [self.lam] * d}
        thetas = [self.theta.get(name) or fresh for name in names]
        if any(len(theta["m"]) != d for theta in thetas):
            raise ValueError(f"the context has {d} features, theta another number")
        return np.array([theta["m"] for theta in thetas]), np.array([theta["q"] for theta in thetas])

    def _scores(self, context: Any) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each arm's log-odds."""
        x = features(context, self.names)
        mean, precision = self._state(self.names, x.shape[1])
        return np.einsum("ki,ki->k", x, mean), np.sqrt((x**2 / precision).sum(axis=1))

    def _probabilities(self, context: Any) -> list[float]:
        return NormalScores(*self._scores(context)).best()

    def _draw(self, context: Any) -> int:
        return int(np.argmax(np.random.normal(*self._scores(context))))


def map_step(score: float, variance: float, reward: float) -> float:
    """Solve ``c = reward - expit(score + c * variance)``.

    The most likely coefficients lie on the line through the old ones in the direction ``x / q``, at the distance c.
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
