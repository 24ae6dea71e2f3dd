"""Top-two Thompson sampling: find the best arm, rather than earn while looking."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from policies.checks import Range
from policies.gaussian import GaussianThompson
from policies.policy import Arm, Theta, choose
from policies.posterior import PosteriorPolicy
from policies.quadrature import Floats
from policies.rare import log_best
from policies.thompson import BernoulliThompson
from policies.ties import pick_best

REDRAWS = 32  # a challenger that takes longer to appear is drawn from the exact probabilities instead
BETA = Range(0, 1)


class TopTwo(PosteriorPolicy):
    """The top-two rule on any posterior of the arms' scores."""

    beta: float

    def _probabilities(self, context: Any) -> list[float]:
        return top_two(log_best(self._scores(context)), self.beta)

    def _draw(self, context: Any) -> int:
        leader = super()._draw(context)
        if len(self.arms) == 1 or np.random.random() < self.beta:
            return leader
        scores = self._scores(context)
        winners = (pick_best(row) for row in scores.sample(REDRAWS).tolist())
        challenger = next((i for i in winners if i != leader), None)
        return choose(challengers(log_best(scores), leader)) if challenger is None else challenger


class TopTwoThompson(TopTwo, BernoulliThompson):
    """Top-two Thompson sampling for rewards of zero and one.

    Thompson sampling soon plays the best arm nearly always, and then learns little about its closest rival, which is
    what decides whether it *is* the best. Here, with probability ``1 - beta``, the drawn leader is set aside and the
    draw repeated until another arm wins. Half of the pulls so go to the rivals, and the probability of naming a wrong
    arm at the end falls at the best possible rate. It costs rewards on the way.

    Parameters
    ----------
    theta
        ``{arm: {"p": ..., "n": ...}}``, as :class:`policies.base.Proportion` keeps it.
    arms
        The arms.
    beta
        The probability of playing the leader.
    prior
        Successes and failures added to each arm.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> theta = {"a": {"p": 0.3, "n": 10}, "b": {"p": 0.5, "n": 10}, "c": {"p": 0.8, "n": 10}}
    >>> policy = TopTwoThompson(theta, ["a", "b", "c"])
    >>> {arm: round(p, 4) for arm, p in policy.probabilities().items()}
    {'a': 0.0512, 'b': 0.4497, 'c': 0.4991}

    References
    ----------
    Russo (2020). Simple Bayesian algorithms for best-arm identification. Operations Research 68(6).
    """

    ranges: ClassVar = {**BernoulliThompson.ranges, "beta": BETA}

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        beta: float = 0.5,
        prior: Sequence[float] = (1.0, 1.0),
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, prior, floor)
        self.beta = BETA.check("beta", beta)


class TopTwoGaussian(TopTwo, GaussianThompson):
    """Top-two Thompson sampling for rewards on a continuous scale.

    As :class:`TopTwoThompson`, on the posterior of :class:`policies.gaussian.GaussianThompson`.

    Parameters
    ----------
    theta
        ``{arm: {"n", "x_bar", "s", "v"}}``, as :class:`policies.base.Variance` keeps it.
    arms
        The arms.
    beta
        The probability of playing the leader.
    m0, k0, a0, b0
        The prior, see :class:`policies.gaussian.GaussianThompson`.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> a = {"n": 10, "x_bar": 1.0, "s": 9.0, "v": 1.0}
    >>> policy = TopTwoGaussian({"a": a, "b": {**a, "x_bar": 2.0}}, ["a", "b"])
    >>> round(policy.probabilities()["b"], 6)
    0.5

    References
    ----------
    Russo (2020). Simple Bayesian algorithms for best-arm identification. Operations Research 68(6).
    """

    ranges: ClassVar = {**GaussianThompson.ranges, "beta": BETA}

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        beta: float = 0.5,
        m0: float = 0.0,
        k0: float = 1.0,
        a0: float = 1.0,
        b0: float = 1.0,
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, m0, k0, a0, b0, floor)
        self.beta = BETA.check("beta", beta)


def challengers(log_p: Floats, leader: int) -> list[float]:
    """The probabilities of the challenger when ``leader`` was drawn first: P(best) given that it isn't the leader."""
    others = np.where(np.arange(len(log_p)) == leader, -np.inf, log_p)
    p = np.exp(others - others.max())
    shares: list[float] = (p / p.sum()).tolist()
    return shares


def top_two(log_p: Floats, beta: float) -> list[float]:
    """Probabilities of the top-two rule from the logarithms of the probabilities of being best.

    An arm is played as the leader, or as the challenger of any other leader. All is kept in logarithms: the challengers
    of a leader that is certain share by odds that may be as small as 1e-300.

    >>> [round(p, 6) for p in top_two(np.log([0.7, 0.2, 0.1]), 0.5)]
    [0.476389, 0.344444, 0.179167]
    """
    if len(log_p) == 1:
        return [1.0]
    rest = _without_each(log_p)  # log (1 - p)
    challenge = log_p + _without_each(log_p - rest)
    p = beta * np.exp(log_p) + (1.0 - beta) * np.exp(challenge)
    shares: list[float] = (p / p.sum()).tolist()
    return shares


def _without_each(logs: Floats) -> Floats:
    """The logarithm of the sum of all others, for each: from the sums on both sides, so that nothing cancels."""
    none = np.array([-np.inf])
    left = np.concatenate([none, np.logaddexp.accumulate(logs)[:-1]])
    right = np.concatenate([np.logaddexp.accumulate(logs[::-1])[::-1][1:], none])
    return np.asarray(np.logaddexp(left, right))
