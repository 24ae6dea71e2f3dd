"""The one interface of bandit policies, and the floor and the sampling that they share."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

Theta = Mapping[str, Any]
Arm = Hashable


class Policy(ABC):
    """A bandit policy: a rule that turns what was learnt (theta) into probabilities of the arms.

    One method is the truth, :meth:`probabilities`. The draw and the propensity that goes into the log both come from
    it, so they cannot disagree. A policy is built anew for each call from its theta, which belongs to the experiment.

    Parameters
    ----------
    theta
        ``{}`` for a fresh start, or what :meth:`get_dict` gave. Arms without a theta start fresh; the theta of an arm
        that was removed is kept, in case that it comes back.
    arms
        The arms that may be chosen now. In theta they are keyed by ``str(arm)``.
    floor
        Each arm is chosen with probability ``floor / K`` at least: ``p = (1 - floor) * p + floor / K``. Without it the
        log of a deterministic policy cannot be used to evaluate another policy.
    """

    contextual: ClassVar[bool] = False

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], floor: float = 0.0) -> None:
        self.arms = list(arms)
        self.names = [str(arm) for arm in self.arms]
        if not self.arms:
            raise ValueError("a policy needs at least one arm")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"the arms {self.names} are not distinct when written as strings")
        if not 0.0 <= floor <= 1.0:
            raise ValueError(f"floor is {floor!r} and must lie between 0 and 1")
        self.theta: dict[str, Any] = dict(theta or {})
        self.floor = floor

    @abstractmethod
    def _probabilities(self, context: Any) -> list[float]:
        """The probabilities in the order of the arms, before the floor."""

    @abstractmethod
    def update(self, arm: Any, reward: float, context: Any = None, propensity: float | None = None) -> None:
        """Learn from one reward. ``propensity`` is the one that :meth:`pull` gave with the decision."""

    def probabilities(self, context: Any = None) -> dict[Any, float]:
        """``{arm: p}`` for this context; they sum to one."""
        return dict(zip(self.arms, self._floored(context), strict=True))

    def pull(self, context: Any = None) -> tuple[Any, float]:
        """Draw an arm: ``(arm, propensity)``."""
        p = self._floored(context)
        i = choose(p)
        return self.arms[i], p[i]

    def draw(self, context: Any = None) -> Any:
        """Draw an arm when nobody asks for its propensity: the same law as :meth:`pull`, cheaper where that helps."""
        if self.floor and np.random.random() < self.floor:
            return self.arms[np.random.randint(len(self.arms))]
        return self.arms[self._draw(context)]

    def get_dict(self) -> dict[str, Any]:
        """Theta: JSON with string keys."""
        return dict(self.theta)

    def _draw(self, context: Any) -> int:
        return choose(self._probabilities(context))

    def _floored(self, context: Any) -> list[float]:
        p = self._probabilities(context)
        if not self.floor:
            return p
        keep, share = 1.0 - self.floor, self.floor / len(p)
        return [keep * q + share for q in p]


def choose(p: Sequence[float]) -> int:
    """Draw an index with these probabilities.

    >>> np.random.seed(1)
    >>> [choose([0.2, 0.0, 0.8]) for _ in range(5)]
    [2, 2, 0, 2, 0]
    """
    cumulative = list(accumulate(p))
    return bisect_right(cumulative, np.random.random() * cumulative[-1], 0, len(p) - 1)


def share_best(values: Sequence[float]) -> list[float]:
    """All mass to the highest value; ties share it.

    >>> share_best([1.0, 3.0, 3.0])
    [0.0, 0.5, 0.5]
    """
    best = max(values)
    p = 1.0 / values.count(best) if isinstance(values, list) else 1.0 / list(values).count(best)
    return [p if value == best else 0.0 for value in values]


def finite(reward: float) -> float:
    """The reward as a float; NaN and infinities would poison theta for ever, so they are refused.

    >>> finite("0.5")
    0.5
    """
    value = float(reward)
    if not math.isfinite(value):
        raise ValueError(f"the reward is {reward!r} and must be a finite number")
    return value
