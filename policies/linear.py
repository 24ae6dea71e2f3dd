"""Thompson sampling for rewards that are linear in the context."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from policies.checks import Range
from policies.policy import Arm, Theta
from policies.posterior import PosteriorPolicy
from policies.quadrature import NormalScores
from policies.ridge import RidgePolicy


class LinearThompson(RidgePolicy, PosteriorPolicy):
    """Thompson sampling with a Bayesian linear regression for each arm.

    The posterior of an arm's coefficients is normal with covariance ``v**2`` times the inverse of A. Only the score of
    this context matters for the choice, and that is normal too, so one number per arm is drawn rather than a vector,
    and the probability that an arm wins is a one-dimensional integral.

    Parameters
    ----------
    theta
        ``{arm: {"A", "b", "n"}}``, as :class:`policies.lm.LM` keeps it.
    arms
        The arms.
    v
        Standard deviation of the rewards' noise; larger explores more, 0 not at all.
    lam
        Prior precision of the coefficients.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = LinearThompson({}, ["a", "b"])
    >>> for x, arm, reward in (([1, 0], "a", 1), ([0, 1], "b", 1), ([1, 0], "b", 0), ([0, 1], "a", 0)):
    ...     policy.update(arm, reward, x)
    >>> np.random.seed(1)
    >>> policy.draw([1, 0])
    'a'
    >>> round(policy.probabilities([1, 0])["a"], 6)
    0.691462

    References
    ----------
    Agrawal and Goyal (2013). Thompson sampling for contextual bandits with linear payoffs. ICML.
    """

    ranges: ClassVar = {**RidgePolicy.ranges, "v": Range(0)}
    v: float

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], v: float = 1.0, lam: float = 1.0, floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, floor, v=v, lam=lam)

    def _scores(self, context: Any) -> NormalScores:
        mean, variance = self._predictions(context)
        return NormalScores(mean, self.v * np.sqrt(variance))
