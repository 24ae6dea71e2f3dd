"""Policies that know only the latest rewards: sliding-window UCB and sliding-window Thompson sampling."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from policies.checks import Range
from policies.policy import Arm, Policy, Theta
from policies.recent import Recent, RecentThompson, RecentUCB
from policies.thompson import PRIOR

WINDOW = Range(1, 90_000, whole=True)  # two values for each reward must fit into theta


class Windowed(Recent):
    """Theta is ``{"t": rewards so far, "arms": {arm: {"t": [...], "r": [...]}}}``: times and rewards in the window.

    The sums are taken anew each time. Adding what enters and subtracting what leaves would be cheaper, and one reward
    of 1e12 would leave its rounding error behind for ever.
    """

    window: int

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        t = int(self.theta.get("t", 0)) + 1
        kept = {each: self._kept(rows, t - self.window) for each, rows in self.theta.get("arms", {}).items()}
        rows = kept.get(name, {"t": [], "r": []})
        kept[name] = {"t": [*rows["t"], t], "r": [*rows["r"], self._worth(reward)]}
        self.theta.update(t=t, arms={each: rows for each, rows in kept.items() if rows["t"]})

    def _recent(self) -> list[tuple[float, float]]:
        start = int(self.theta.get("t", 0)) - self.window
        arms, recent = self.theta.get("arms", {}), []
        for name in self.names:
            rewards = self._kept(arms[name], start)["r"] if name in arms else []
            recent.append((float(len(rewards)), self._sum(rewards)))
        return recent

    def _values(self, features: int) -> int:
        return 2 * self.window + 8 * len(self.arms) + 4

    @staticmethod
    def _kept(rows: Theta, start: int) -> Theta:
        if rows["t"] and rows["t"][0] > start:
            return rows
        first = bisect_right(rows["t"], start)
        return {"t": rows["t"][first:], "r": rows["r"][first:]}


class SlidingWindowUCB(Windowed, RecentUCB):
    """UCB1 on the latest rewards only.

    A reward counts fully while it is among the latest ``window`` (of all arms together), and then not at all. After an
    abrupt change the old truth is gone after one window. An arm that has left the window is tried again.

    Parameters
    ----------
    theta
        ``{"t": ..., "arms": {arm: {"t": [...], "r": [...]}}}``.
    arms
        The arms. Those without a reward in the window come first, ties share.
    window
        How many rewards to remember, up to 90,000; it is also the size of theta.
    alpha
        Factor on the bonus, see :class:`policies.ucb.UCB1`.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = SlidingWindowUCB({}, ["a", "b"], window=4)
    >>> for arm, reward in (("a", 1), ("b", 0), ("a", 1), ("b", 1), ("b", 1)):
    ...     policy.update(arm, reward)
    >>> policy.get_dict()["arms"]["a"]
    {'t': [3], 'r': [1.0]}
    >>> policy.pull()
    ('a', 1.0)

    References
    ----------
    Garivier and Moulines (2011). On upper-confidence bound policies for switching bandit problems. ALT.
    """

    ranges: ClassVar = {**Policy.ranges, "window": WINDOW, "alpha": Range(0)}

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], window: int = 1000, alpha: float = 1.0, floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, floor, window=window, alpha=alpha)


class SlidingWindowThompson(Windowed, RecentThompson):
    """Bernoulli Thompson sampling on the latest rewards only.

    The posterior is that of the successes and failures among the latest ``window`` rewards (of all arms together). An
    arm that hasn't been played for a window is back at its prior, so it will be drawn again.

    Parameters
    ----------
    theta
        ``{"t": ..., "arms": {arm: {"t": [...], "r": [...]}}}``.
    arms
        The arms.
    window
        How many rewards to remember, up to 90,000; it is also the size of theta.
    prior
        Successes and failures added to each arm.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = SlidingWindowThompson({}, ["a", "b"], window=3)
    >>> for reward in (1, 1, 1, 0, 0, 0):
    ...     policy.update("a", reward)
    >>> round(policy.probabilities()["a"], 6)
    0.2

    References
    ----------
    Trovò, Paladino, Restelli and Gatti (2020). Sliding-window Thompson sampling for non-stationary settings. JAIR 68.
    """

    ranges: ClassVar = {**Policy.ranges, "window": WINDOW, "prior": PRIOR}

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        window: int = 1000,
        prior: Sequence[float] = (1.0, 1.0),
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, floor, window=window, prior=prior)
