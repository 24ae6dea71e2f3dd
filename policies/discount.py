"""Policies that forget gradually: discounted UCB and discounted Thompson sampling."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from policies.checks import Range
from policies.policy import Arm, Policy, Theta
from policies.recent import Recent, RecentThompson, RecentUCB
from policies.thompson import PRIOR

GAMMA = Range(0, 1, above=True)


class Discounted(Recent):
    """Theta is ``{arm: {"n": ..., "sum": ...}}``; each reward first shrinks all of it by ``gamma``."""

    gamma: float

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        gamma = self.gamma
        for each, theta in self.theta.items():
            self.theta[each] = {"n": gamma * float(theta["n"]), "sum": gamma * float(theta["sum"])}
        theta = self.theta.get(name, {"n": 0.0, "sum": 0.0})
        self.theta[name] = {"n": theta["n"] + 1.0, "sum": theta["sum"] + self._worth(reward)}

    def _recent(self) -> list[tuple[float, float]]:
        thetas = (self.theta.get(name) for name in self.names)
        return [(float(theta["n"]), float(theta["sum"])) if theta else (0.0, 0.0) for theta in thetas]


class DiscountedUCB(Discounted, RecentUCB):
    """UCB1 that forgets old rewards gradually.

    A reward counts ``gamma ** age``, age in rewards of all arms, so the policy remembers about ``1 / (1 - gamma)`` of
    them. The count of an arm that isn't played fades and its bonus grows, so that every arm is looked at again before
    long: the price of following a world that changes, and a waste in one that doesn't.

    Parameters
    ----------
    theta
        ``{arm: {"n": ..., "sum": ...}}``, both decayed.
    arms
        The arms. Those without a reward, or forgotten, come first; ties share.
    gamma
        The discount per reward: above 0, up to 1.
    alpha
        Factor on the bonus, see :class:`policies.ucb.UCB1`.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = DiscountedUCB({"a": {"n": 60.0, "sum": 30.0}, "b": {"n": 20.0, "sum": 8.0}}, ["a", "b"])
    >>> policy.update("b", 1)
    >>> round(policy.get_dict()["a"]["n"], 6)
    59.4
    >>> policy.pull()
    ('b', 1.0)

    References
    ----------
    Garivier and Moulines (2011). On upper-confidence bound policies for switching bandit problems. ALT.
    """

    ranges: ClassVar = {**Policy.ranges, "gamma": GAMMA, "alpha": Range(0)}

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], gamma: float = 0.99, alpha: float = 1.0, floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, floor, gamma=gamma, alpha=alpha)


class DiscountedThompson(Discounted, RecentThompson):
    """Bernoulli Thompson sampling that forgets old rewards gradually.

    Successes and failures are decayed by ``gamma`` with each reward, so the posterior of an arm that isn't played
    widens back towards the prior until it is drawn again.

    Parameters
    ----------
    theta
        ``{arm: {"n": ..., "sum": ...}}``, both decayed; ``sum`` are the successes. A reward outside 0..1
        counts as the nearer bound.
    arms
        The arms.
    gamma
        The discount per reward: above 0, up to 1.
    prior
        Successes and failures added to each arm; they aren't decayed.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = DiscountedThompson({"a": {"n": 10.0, "sum": 3.0}, "b": {"n": 10.0, "sum": 8.0}}, ["a", "b"])
    >>> round(policy.probabilities()["b"], 6)
    0.985013

    References
    ----------
    Raj and Kalyani (2017). Taming non-stationary bandits: a Bayesian approach. arXiv:1707.09727.
    """

    ranges: ClassVar = {**Policy.ranges, "gamma": GAMMA, "prior": PRIOR}

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        gamma: float = 0.99,
        prior: Sequence[float] = (1.0, 1.0),
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, floor, gamma=gamma, prior=prior)
