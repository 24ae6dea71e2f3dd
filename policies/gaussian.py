"""Thompson sampling for rewards on a continuous scale."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from policies.base import Variance
from policies.checks import Range
from policies.policy import Arm, Policy, Theta
from policies.posterior import PosteriorPolicy
from policies.quadrature import Floats
from policies.student import StudentScores

SMALLEST_SHAPE = 1e-3  # below it half of the tail is beyond exp(10,000)


class GaussianThompson(PosteriorPolicy):
    """Thompson sampling for rewards that are roughly normal, with unknown mean and variance.

    Under the normal-inverse-gamma prior the posterior of an arm's mean is a Student's t: its location is the mean
    shrunk towards ``m0``, its scale shrinks with the number of rewards and with how little they vary. One mean is
    drawn per arm and the highest wins. The heavy tails keep an arm alive that had a few unlucky rewards.

    Parameters
    ----------
    theta
        ``{arm: {"n", "x_bar", "s", "v"}}``, as :class:`policies.base.Variance` keeps it; ``s`` is the sum of squared
        deviations.
    arms
        The arms.
    m0, k0
        Prior mean, and the number of rewards that it is worth.
    a0, b0
        Shape and scale of the inverse gamma prior of the variance; ``b0 / a0`` should be of the order of the rewards'
        variance. A small ``a0`` is vague: with 0.001, the least, an arm without rewards may be anything at all.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> a = {"n": 10, "x_bar": 1.0, "s": 9.0, "v": 1.0}
    >>> b = {"n": 10, "x_bar": 2.0, "s": 9.0, "v": 1.0}
    >>> policy = GaussianThompson({"a": a, "b": b}, ["a", "b"])
    >>> np.random.seed(1)
    >>> policy.draw()
    'b'
    >>> round(policy.probabilities()["b"], 6)
    0.967427

    References
    ----------
    Honda and Takemura (2014). Optimality of Thompson sampling for Gaussian bandits depends on priors. AISTATS.
    Murphy (2007). Conjugate Bayesian analysis of the Gaussian distribution.
    """

    ranges: ClassVar = {
        **Policy.ranges,
        "m0": Range(),
        "k0": Range(1e-9, 1e9),
        "a0": Range(SMALLEST_SHAPE, 1e9),
        "b0": Range(1e-30, 1e30),
    }
    m0: float
    k0: float
    a0: float
    b0: float

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        m0: float = 0.0,
        k0: float = 1.0,
        a0: float = 1.0,
        b0: float = 1.0,
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, floor, m0=m0, k0=k0, a0=a0, b0=b0)

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        variance = Variance(self.theta.get(name))
        variance.update(reward)
        self.theta[name] = variance.get_dict()

    def _posterior(self) -> tuple[Floats, Floats, Floats]:
        """Location, scale and degrees of freedom of each arm's mean."""
        mean, scale, df = [], [], []
        for name in self.names:
            theta = self.theta.get(name) or Variance.start
            n, x_bar = float(theta["n"]), float(theta["x_bar"])
            k, a, off = self.k0 + n, self.a0 + 0.5 * n, x_bar - self.m0
            b = self.b0 + 0.5 * float(theta["s"]) + 0.5 * self.k0 * n / k * off * off
            mean.append(self.m0 + n / k * off)
            scale.append((b / (a * k)) ** 0.5)
            df.append(2.0 * a)
        return np.array(mean), np.array(scale), np.array(df)

    def _scores(self, context: Any) -> StudentScores:
        return StudentScores(*self._posterior())
