"""Exponential weights for rewards that an adversary may choose: EXP3 and EXP3.S."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from policies.policy import Arm, Policy, Theta, finite
from policies.softmax import softmax


class EXP3(Policy):
    """Exponential weights on importance-weighted rewards.

    It assumes nothing about where rewards come from. A reward divided by the probability of the decision is an
    unbiased estimate of what the arm would have earned had it always been played; the arms' weights grow
    exponentially with the sum of these, and a share ``gamma`` of uniform exploration bounds them. Against any
    sequence, regret is of the order of the square root of ``T K ln K``.

    Parameters
    ----------
    theta
        ``{"log_weights": {arm: ...}}``.
    arms
        The arms.
    gamma
        The share of uniform exploration, and the learning rate. Rewards should lie between 0 and 1.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = EXP3({}, ["a", "b", "c"], gamma=0.1)
    >>> policy.update("a", 1, propensity=1 / 3)
    >>> {arm: round(p, 8) for arm, p in policy.probabilities().items()}
    {'a': 0.3536551, 'b': 0.32317245, 'c': 0.32317245}

    References
    ----------
    Auer, Cesa-Bianchi, Freund and Schapire (2002). The nonstochastic multiarmed bandit problem. SIAM J. Comput. 32(1).
    """

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], gamma: float = 0.1, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor)
        self.gamma = gamma

    def update(self, arm: Any, reward: float, context: Any = None, propensity: float | None = None) -> None:
        """Learn from one reward. Without a propensity the one under the present theta is taken.

        Pass the propensity of the decision: theta may have moved since, and then the estimate is biased.
        """
        name = str(arm)
        if propensity is None:
            propensity = self._floored(context)[self.names.index(name)]
        if not propensity > 0.0:
            raise ValueError(f"the propensity is {propensity!r} and must be above 0")
        weights = dict(self.theta.get("log_weights", {}))
        gain = self.gamma * finite(reward) / (propensity * len(self.arms))
        weights[name] = float(weights.get(name, 0.0)) + gain
        self.theta["log_weights"] = weights

    def _probabilities(self, context: Any) -> list[float]:
        weights = self.theta.get("log_weights", {})
        share = self.gamma / len(self.names)
        return [(1.0 - self.gamma) * p + share for p in softmax([float(weights.get(name, 0.0)) for name in self.names])]


class EXP3S(EXP3):
    """EXP3 that can follow a best arm which changes.

    After each reward every arm gets a small share of the total weight. No arm can fall behind so far that it couldn't
    come back, which bounds the regret against any sequence of arms with a limited number of switches.

    Parameters
    ----------
    theta
        ``{"log_weights": {arm: ...}}``.
    arms
        The arms.
    gamma
        The share of uniform exploration, and the learning rate. Rewards should lie between 0 and 1.
    alpha
        The share of the total weight that is spread, of the order of one over the number of decisions.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = EXP3S({"log_weights": {"a": 50.0, "b": 0.0}}, ["a", "b"], gamma=0.1, alpha=0.01)
    >>> policy.update("b", 0, propensity=0.05)
    >>> round(policy.get_dict()["log_weights"]["b"], 6)
    45.701683

    References
    ----------
    Auer, Cesa-Bianchi, Freund and Schapire (2002). The nonstochastic multiarmed bandit problem. SIAM J. Comput. 32(1).
    """

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], gamma: float = 0.1, alpha: float = 0.001, floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, gamma, floor)
        self.alpha = alpha

    def update(self, arm: Any, reward: float, context: Any = None, propensity: float | None = None) -> None:
        """Learn from one reward; see :meth:`EXP3.update`."""
        before = self.theta.get("log_weights", {})
        total = float(np.logaddexp.reduce([float(before.get(name, 0.0)) for name in self.names]))
        super().update(arm, reward, context, propensity)
        shared = total + math.log(math.e * self.alpha / len(self.names))
        weights = self.theta["log_weights"]
        mixed = np.logaddexp([weights.get(name, 0.0) for name in self.names], shared)
        weights.update(zip(self.names, mixed.tolist(), strict=True))
