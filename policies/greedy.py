"""Epsilon-first and epsilon-greedy: explore with a fixed probability, else take the arm with the best mean."""

from collections.abc import Iterable
from typing import ClassVar

from policies.checks import Range
from policies.means import MeanPolicy
from policies.policy import Arm, Policy, Theta
from policies.ties import share_best


class EpsilonFirst(MeanPolicy):
    """Explore for the first n rewards, then take the best arm for good.

    The randomised trial followed by a roll-out. While fewer than n rewards have come in each arm is as likely; after
    that the arm with the highest mean is always chosen. It is easy to explain, and wrong for ever with the
    probability that the trial was too small.

    Parameters
    ----------
    theta
        ``{arm: {"n": ..., "m": ...}}``, as :class:`policies.base.Mean` keeps it.
    arms
        The arms. One without a reward counts as the best, ties share.
    n
        Rewards (of all arms together) before the choice is made.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = EpsilonFirst({"a": {"n": 50, "m": 0.4}, "b": {"n": 49, "m": 0.6}}, ["a", "b"], n=100)
    >>> policy.probabilities()
    {'a': 0.5, 'b': 0.5}
    >>> policy.update("a", 1)
    >>> policy.probabilities()["b"]
    1.0

    References
    ----------
    Even-Dar, Mannor and Mansour (2002). PAC bounds for multi-armed bandit and Markov decision processes. COLT.
    """

    ranges: ClassVar = {**Policy.ranges, "n": Range(0, 1e15, whole=True)}
    n: int

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], n: int = 100, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor, n=n)

    def _probabilities(self, context: object) -> list[float]:
        counts, means = self._means()
        return share_best(means) if sum(counts) >= self.n else [1.0 / len(means)] * len(means)


class EpsilonGreedy(MeanPolicy):
    """Take the best arm, except with probability epsilon, when any arm is as likely.

    Exploration never stops, so no arm is given up by mistake for ever, and with a constant epsilon the cost of it
    never stops either: regret grows linearly with slope ``epsilon`` times the mean gap. With ``decay`` epsilon falls
    like one over the number of rewards, and regret grows like its logarithm if it doesn't fall too early.

    Parameters
    ----------
    theta
        ``{arm: {"n": ..., "m": ...}}``, as :class:`policies.base.Mean` keeps it.
    arms
        The arms. One without a reward counts as the best, ties share.
    epsilon
        Probability of exploring, between 0 and 1.
    decay
        Epsilon after t rewards is ``epsilon / (1 + decay * t)``; 0 or more.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = EpsilonGreedy({"a": {"n": 20, "m": 0.4}, "b": {"n": 80, "m": 0.6}}, ["a", "b"], epsilon=0.1)
    >>> round(policy.probabilities()["a"], 6)
    0.05
    >>> round(EpsilonGreedy(policy.theta, ["a", "b"], epsilon=0.1, decay=0.01).probabilities()["a"], 6)
    0.025

    References
    ----------
    Auer, Cesa-Bianchi and Fischer (2002). Finite-time analysis of the multiarmed bandit problem. Machine Learning 47.
    """

    ranges: ClassVar = {**Policy.ranges, "epsilon": Range(0, 1), "decay": Range(0)}
    epsilon: float
    decay: float

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], epsilon: float = 0.1, decay: float = 0.0, floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, floor, epsilon=epsilon, decay=decay)

    def _probabilities(self, context: object) -> list[float]:
        counts, means = self._means()
        epsilon = self.epsilon / (1.0 + self.decay * sum(counts))
        share = epsilon / len(means)
        return [share + (1.0 - epsilon) * p for p in share_best(means)]
