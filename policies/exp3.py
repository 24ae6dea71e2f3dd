"""Exponential weights for rewards that an adversary may choose: EXP3 and EXP3.S."""

import math
from collections.abc import Collection, Iterable
from typing import Any, ClassVar

import numpy as np

from policies.checks import Range
from policies.policy import Arm, Policy, Theta
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
        The arms. One that is added later starts at the mean weight of the others.
    gamma
        The share of uniform exploration, and the learning rate: above 0, up to 1. Rewards should lie between 0 and 1.
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

    ranges: ClassVar = {**Policy.ranges, "gamma": Range(0, 1, above=True)}
    gamma: float

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], gamma: float = 0.1, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor, gamma=gamma)

    def update(self, arm: Any, reward: float, context: Any = None, propensity: float | None = None) -> None:
        """Learn from one reward. Without a propensity the one under the present theta is taken.

        Pass the propensity of the decision: theta may have moved since, and then the estimate is biased.
        """
        if propensity is not None and not 0.0 < propensity <= 1.0:
            raise ValueError(f"the propensity is {propensity!r} and must lie above 0, up to 1")
        super().update(arm, reward, context, propensity)

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        weights = self._weights()
        listed = list(self.names)
        if name not in weights:  # a late reward of an arm that was removed
            weights[name] = float(self.theta.get("log_weights", {}).get(name, _level(weights.values())))
            listed.append(name)
        if propensity is None:
            p = softmax([weights[each] for each in listed])[listed.index(name)]
            propensity = (1.0 - self.floor) * ((1.0 - self.gamma) * p + self.gamma / len(listed))
            propensity += self.floor / len(listed)
        weights[name] += self.gamma * reward / (propensity * len(self.arms))
        self.theta["log_weights"] = {**self.theta.get("log_weights", {}), **weights}

    def _weights(self) -> dict[str, float]:
        """The log weight of each listed arm. One that is new starts at the mean weight of the others."""
        stored = self.theta.get("log_weights", {})
        known = {name: float(stored[name]) for name in self.names if name in stored}
        level = _level(known.values())
        return {name: known.get(name, level) for name in self.names}

    def _probabilities(self, context: Any) -> list[float]:
        share = self.gamma / len(self.names)
        return [(1.0 - self.gamma) * p + share for p in softmax(list(self._weights().values()))]

    def _values(self, features: int) -> int:
        return 2 * len(self.arms) + 3


def _level(log_weights: Collection[float]) -> float:
    """The logarithm of the mean weight; 0 if there is none.

    >>> _level([30.0, 30.0])
    30.0
    """
    if not log_weights:
        return 0.0
    best = max(log_weights)
    return best + math.log(math.fsum(math.exp(each - best) for each in log_weights) / len(log_weights))


class EXP3S(EXP3):
    """EXP3 that can follow a best arm which changes.

    After each reward every arm gets a small share of the total weight. No arm can fall behind so far that it couldn't
    come back, which bounds the regret against any sequence of arms with a limited number of switches.

    Parameters
    ----------
    theta
        ``{"log_weights": {arm: ...}}``.
    arms
        The arms. One that is added later starts at the mean weight of the others.
    gamma
        The share of uniform exploration, and the learning rate: above 0, up to 1. Rewards should lie between 0 and 1.
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

    ranges: ClassVar = {**EXP3.ranges, "alpha": Range(0, 1)}
    alpha: float

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], gamma: float = 0.1, alpha: float = 0.001, floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, gamma, floor)
        self.alpha = self.ranges["alpha"].check("alpha", alpha)

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        total = float(np.logaddexp.reduce(list(self._weights().values())))
        super()._learn(name, reward, context, propensity)
        if self.alpha:
            weights = self.theta["log_weights"]
            shared = total + math.log(math.e * self.alpha / len(self.names))
            mixed = np.logaddexp([weights[each] for each in self.names], shared)
            self.theta["log_weights"] = {**weights, **dict(zip(self.names, mixed.tolist(), strict=True))}
