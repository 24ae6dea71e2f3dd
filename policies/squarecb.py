"""SquareCB: turn any regression into a policy, by inverse-gap weighting."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from policies.checks import Range
from policies.policy import Arm, Theta
from policies.ridge import RidgePolicy
from policies.ties import leads


class SquareCB(RidgePolicy):
    """Choose an arm with a probability inverse to how far its predicted reward lies behind the best one.

    The probability of an inferior arm is ``1 / (K + g * gap)``, the best one gets the rest. An arm that is a little
    worse is tried often, one that is far worse hardly ever, and that balance alone makes the regret of the policy
    follow that of its regression: no confidence bounds, no posterior, and propensities that are never zero. The
    regression is a ridge regression per arm here.

    Parameters
    ----------
    theta
        ``{arm: {"A", "b", "n"}}``, as :class:`policies.lm.LM` keeps it.
    arms
        The arms.
    gamma, power
        ``g = gamma * t ** power`` after t rewards; g is in units of one over the reward.
    lam
        Ridge penalty of a fresh arm.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = SquareCB({}, ["a", "b"])
    >>> for x, arm, reward in (([1, 0], "a", 1), ([0, 1], "b", 1), ([1, 0], "b", 0), ([0, 1], "a", 0)):
    ...     policy.update(arm, reward, x)
    >>> round(policy.probabilities([1, 0])["b"], 6)
    0.083333

    References
    ----------
    Foster and Rakhlin (2020). Beyond UCB: optimal and efficient contextual bandits with regression oracles. ICML.
    """

    ranges: ClassVar = {**RidgePolicy.ranges, "gamma": Range(0), "power": Range(0, 4)}
    gamma: float
    power: float

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        gamma: float = 10.0,
        power: float = 0.5,
        lam: float = 1.0,
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, floor, gamma=gamma, power=power, lam=lam)

    def _probabilities(self, context: Any) -> list[float]:
        t = sum(int((self.theta.get(name) or {}).get("n", 0)) for name in self.names)
        return inverse_gap(self._predictions(context)[0].tolist(), self.gamma * float(t) ** self.power)


def inverse_gap(values: Sequence[float], g: float) -> list[float]:
    """Inverse-gap weights of predicted rewards; those that tie for the best share the rest.

    >>> [round(p, 8) for p in inverse_gap([0.2, 0.5, 0.45], 100)]
    [0.03030303, 0.84469697, 0.125]
    """
    best, k, ties = max(values), len(values), leads(values)
    p = [0.0 if tie else 1.0 / (k + g * (best - value)) for value, tie in zip(values, ties, strict=True)]
    share = (1.0 - math.fsum(p)) / sum(ties)
    return [share if tie else each for tie, each in zip(ties, p, strict=True)]
