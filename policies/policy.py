"""The one interface of bandit policies, and what they share: checks, the floor and the sampling."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from policies.arms import arm_name, hashable
from policies.checks import MOST_VALUES, Range, fault, finite

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
        The arms that may be chosen now. In theta they are keyed by :func:`policies.arms.arm_name`.
    floor
        Each arm is chosen with probability ``floor / K`` at least: ``p = (1 - floor) * p + floor / K``. Without it the
        log of a deterministic policy cannot be used to evaluate another policy.
    parameters
        What else the policy takes, checked against ``ranges`` and kept as attributes of the same names.

    Raises
    ------
    ValueError
        A parameter is out of its range, two arms have one name, or theta could not be stored with so many arms.
    """

    contextual: ClassVar[bool] = False
    ranges: ClassVar[Mapping[str, Range]] = {"floor": Range(0, 1)}
    floor: float

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], floor: float = 0.0, **parameters: Any) -> None:
        self.arms: list[Any] = list(arms)
        self.names: list[str] = self.arms[:]
        self.theta: dict[str, Any] = dict(theta or {})
        if not self.arms:
            raise ValueError("a policy needs at least one arm")
        if not all(type(arm) is str for arm in self.arms):
            self._name_arms()
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"the arms {self.arms} are not distinct: their names in theta are {self.names}")
        self.floor = self.ranges["floor"].check("floor", floor)
        for name, value in parameters.items():
            setattr(self, name, self.ranges[name].check(name, value))
        if not self.contextual:
            self._must_fit()

    @abstractmethod
    def _probabilities(self, context: Any) -> list[float]:
        """The probabilities in the order of the arms, before the floor."""

    @abstractmethod
    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        """Put new values into ``self.theta`` for one finite reward of the arm ``name``; never change one in place."""

    def update(self, arm: Any, reward: float, context: Any = None, propensity: float | None = None) -> None:
        """Learn from one reward.

        Parameters
        ----------
        arm
            The arm that earned it, as the action says; it need not be listed any more.
        reward
            A finite number.
        context
            That of the decision.
        propensity
            The one that :meth:`pull` gave with the decision.

        Raises
        ------
        ValueError
            A number is not finite, or would not be in theta. Theta is then as it was.
        """
        before = self.theta
        self.theta = dict(before)
        try:
            with quiet():
                self._learn(arm_name(arm), finite(reward), context, propensity)
            for key, value in self.theta.items():
                if value is not before.get(key) and (where := fault(value, f"theta[{key!r}]")):
                    raise ValueError(f"{where} would not be a finite number after this reward ({reward!r})")
        except BaseException:
            self.theta = before
            raise

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
        try:
            with quiet():
                return self.arms[self._draw(context)]
        except (ArithmeticError, ValueError) as error:
            self._explain(error)
            raise

    def get_dict(self) -> dict[str, Any]:
        """Theta: JSON with string keys."""
        return dict(self.theta)

    def _draw(self, context: Any) -> int:
        return choose(self._checked(context))

    def _checked(self, context: Any) -> list[float]:
        """The probabilities before the floor, or an error where they are none."""
        try:
            with quiet():
                p = self._probabilities(context)
            if not (abs(math.fsum(p) - 1.0) < 1e-9 and min(p) >= 0.0):
                raise ArithmeticError("the probabilities are not finite")
        except (ArithmeticError, ValueError) as error:
            self._explain(error)
            raise
        return p

    def _floored(self, context: Any) -> list[float]:
        p = self._checked(context)
        if not self.floor:
            return p
        keep, share = 1.0 - self.floor, self.floor / len(p)
        return [keep * q + share for q in p]

    def _explain(self, error: Exception) -> None:
        """Raise in place of the error what a script's author can act on, if there is such a thing."""
        if where := fault(self.theta):
            raise ValueError(f"{where} is not a finite number; store another theta, or delete this one") from error
        if isinstance(error, ArithmeticError):
            raise ValueError(
                f"{type(self).__name__}: {error}; the numbers in theta or context are too large"
            ) from error

    def _values(self, features: int) -> int:
        """How many values, keys and containers theta has once every arm was played: those of an estimator each."""
        return 12 * len(self.arms) + 1

    def _must_fit(self, features: int = 0) -> None:
        """Refuse at the first call what would fail at the thousandth, when theta has grown."""
        values = self._values(features)
        if values > MOST_VALUES:
            of = f" and {features} features" if features else ""
            raise ValueError(
                f"{type(self).__name__} with {len(self.arms)} arms{of} would have {values:,} values in theta, and at "
                f"most {MOST_VALUES:,} can be stored"
            )

    def _name_arms(self) -> None:
        """Name arms that are not strings. An older theta has the arm 1.0 under "1.0", where it is "1" now."""
        self.arms = [hashable(arm) for arm in self.arms]
        self.names = [arm_name(arm) for arm in self.arms]
        if len(set(self.arms)) < len(self.arms):
            raise ValueError(f"the arms {self.arms} are not distinct: some are equal")
        for arm, name in zip(self.arms, self.names, strict=True):
            old = str(arm)
            if old != name and isinstance(arm, float):
                self.theta = _renamed(self.theta, old, name)
                for part in ("arms", "log_weights"):
                    if isinstance(self.theta.get(part), dict):
                        self.theta[part] = _renamed(self.theta[part], old, name)


def quiet() -> np.errstate:
    """No warnings of numpy within: what overflows is found and told afterwards."""
    return np.errstate(all="ignore")


def _renamed(theta: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in theta.items()} if new not in theta else theta


def choose(p: Sequence[float]) -> int:
    """Draw an index with these probabilities.

    >>> np.random.seed(1)
    >>> [choose([0.2, 0.0, 0.8]) for _ in range(5)]
    [2, 2, 0, 2, 0]
    """
    cumulative = list(accumulate(p))
    return bisect_right(cumulative, np.random.random() * cumulative[-1], 0, len(p) - 1)
