"""Softmax, also called Boltzmann exploration: better arms are chosen more often, in proportion to exp(mean / tau)."""

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar

from policies.checks import Range
from policies.means import MeanPolicy, fill_untried
from policies.policy import Arm, Policy, Theta


class Softmax(MeanPolicy):
    """Choose an arm with a probability proportional to ``exp(mean / tau)``.

    All arms stay possible, and those that look nearly as good as the best are tried nearly as often, which
    epsilon-greedy doesn't do. The temperature is in units of the reward: a high one explores, one near zero is greedy.
    It never cools by itself, so regret stays linear.

    Parameters
    ----------
    theta
        ``{arm: {"n": ..., "m": ...}}``, as :class:`policies.base.Mean` keeps it.
    arms
        The arms. One without a reward counts as the best one seen.
    tau
        The temperature, above 0.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = Softmax({"a": {"n": 20, "m": 0.0}, "b": {"n": 80, "m": 1.0}}, ["a", "b"])
    >>> round(policy.probabilities()["b"], 6)
    0.731059

    References
    ----------
    Sutton and Barto (1998). Reinforcement learning: an introduction, section 2.3. MIT Press.
    """

    ranges: ClassVar = {**Policy.ranges, "tau": Range(0, above=True)}
    tau: float

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], tau: float = 1.0, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor, tau=tau)

    def _probabilities(self, context: object) -> list[float]:
        return softmax(fill_untried(self._means()[1]), self.tau)


def softmax(scores: Sequence[float], tau: float = 1.0) -> list[float]:
    """Probabilities proportional to ``exp(score / tau)``, without overflow.

    >>> softmax([1e12, 1e12])
    [0.5, 0.5]
    """
    best = max(scores)
    weights = [math.exp((score - best) / tau) for score in scores]
    total = math.fsum(weights)
    return [weight / total for weight in weights]
