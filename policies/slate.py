"""Slates: choose k items in an order, by the Plackett-Luce model."""

import math
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any, ClassVar

from policies.arms import arm_name
from policies.checks import Range, finite
from policies.means import MeanPolicy, fill_untried
from policies.policy import Arm, Policy, Theta, choose
from policies.softmax import softmax

LARGEST = 100_000


class Slate(MeanPolicy):
    """Fill k positions one after another, each by softmax over the items that are left.

    A list of offers is one decision among ``K (K - 1) ... (K - k + 1)``, far too many to keep a mean for each. Under
    the Plackett-Luce model each item has one score, and the probability of a slate is the product over its positions
    of the softmax among the remaining items. That product is the propensity.

    Parameters
    ----------
    theta
        ``{item: {"n": ..., "m": ...}}``, as :class:`policies.base.Mean` keeps it.
    arms
        The items.
    k
        Positions, 1 or more. With fewer items than positions all are shown.
    tau
        Temperature, in units of the reward, above 0.
    floor
        Mixed into each position: the next item is uniform over those left with probability ``floor``.

    Examples
    --------
    >>> theta = {"a": {"n": 5, "m": 0.1}, "b": {"n": 5, "m": 0.3}, "c": {"n": 5, "m": 0.2}}
    >>> policy = Slate(theta, ["a", "b", "c"], k=2)
    >>> import numpy as np
    >>> np.random.seed(1)
    >>> slate, propensity = policy.pull()
    >>> slate, round(propensity, 6)
    (('b', 'c'), 0.48633)
    >>> policy.update(slate, [1, 0])

    References
    ----------
    Plackett (1975). The analysis of permutations. Applied Statistics 24(2). Luce (1959). Individual choice behavior.
    """

    ranges: ClassVar = {**Policy.ranges, "k": Range(1, 1e6, whole=True), "tau": Range(0, above=True)}
    k: int
    tau: float

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], k: int = 2, tau: float = 0.1, floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, floor, k=k, tau=tau)

    def probabilities(self, context: Any = None) -> dict[Any, float]:
        """``{slate: p}`` over all ordered slates; for large numbers of items use :meth:`propensity`."""
        k = min(self.k, len(self.arms))
        if math.perm(len(self.arms), k) > LARGEST:
            raise ValueError(f"{len(self.arms)} items make more than {LARGEST:,} slates; use propensity(slate)")
        return {slate: self.propensity(slate) for slate in permutations(self.arms, k)}

    def propensity(self, slate: Sequence[Any]) -> float:
        """The probability of this slate in this order."""
        scores, left, product = self._scores(), list(range(len(self.arms))), 1.0
        for item in slate:
            i = left.index(self.names.index(arm_name(item)))
            product *= self._position(scores, left)[i]
            del left[i]
        return product

    def pull(self, context: Any = None) -> tuple[tuple[Any, ...], float]:
        """Draw a slate: ``(items in order, propensity)``."""
        scores, left, product, slate = self._scores(), list(range(len(self.arms))), 1.0, []
        for _ in range(min(self.k, len(left))):
            p = self._position(scores, left)
            i = choose(p)
            product *= p[i]
            slate.append(self.arms[left.pop(i)])
        return tuple(slate), product

    def draw(self, context: Any = None) -> tuple[Any, ...]:
        """Draw a slate; its propensity costs nothing extra here."""
        return self.pull(context)[0]

    def update(self, arm: Any, reward: Any, context: Any = None, propensity: float | None = None) -> None:
        """Learn from one item's reward, or from a slate's: one reward for each position, or one for all of them."""
        single = not isinstance(arm, list | tuple) or arm_name(arm) in self.names
        items = [arm] if single else list(arm)
        rewards = reward if isinstance(reward, list | tuple) else [reward] * len(items)
        if len(rewards) != len(items):
            raise ValueError(f"{len(rewards)} rewards came for the {len(items)} positions of the slate {arm!r}")
        before = self.theta
        try:
            for item, each in zip(items, rewards, strict=True):
                super().update(item, finite(each))
        except BaseException:
            self.theta = before
            raise

    def _scores(self) -> list[float]:
        scores = fill_untried(self._means()[1])
        if not math.isfinite(math.fsum(scores)):
            self._explain(ArithmeticError("a mean is not finite"))
        return scores

    def _position(self, scores: list[float], left: list[int]) -> list[float]:
        """Probabilities of the items that are left, for the next position."""
        share = self.floor / len(left)
        return [(1.0 - self.floor) * p + share for p in softmax([scores[i] for i in left], self.tau)]

    def _probabilities(self, context: Any) -> list[float]:
        return softmax(self._scores(), self.tau)
