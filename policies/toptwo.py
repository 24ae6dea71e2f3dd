"""Top-two Thompson sampling: find the best arm, rather than earn while looking."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from policies.gaussian import GaussianThompson
from policies.policy import Arm, Theta, choose
from policies.quadrature import Floats
from policies.thompson import BernoulliThompson

REDRAWS = 32  # a challenger that takes longer to appear is drawn from the exact probabilities instead


class TopTwoThompson(BernoulliThompson):
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

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        beta: float = 0.5,
        prior: Sequence[float] = (1.0, 1.0),
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, prior, floor)
        self.beta = beta

    def _probabilities(self, context: Any) -> list[float]:
        return top_two(super()._probabilities(context), self.beta)

    def _draw(self, context: Any) -> int:
        leader = super()._draw(context)
        return draw_two(leader, self._samples, partial(super()._probabilities, context), self.beta)


class TopTwoGaussian(GaussianThompson):
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
        self.beta = beta

    def _probabilities(self, context: Any) -> list[float]:
        return top_two(super()._probabilities(context), self.beta)

    def _draw(self, context: Any) -> int:
        leader = super()._draw(context)
        return draw_two(leader, self._samples, partial(super()._probabilities, context), self.beta)


def draw_two(leader: int, samples: Callable[[int], Floats], best: Callable[[], list[float]], beta: float) -> int:
    """The leader, or with probability ``1 - beta`` the first other arm that wins when the draw is repeated.

    ``samples(n)`` draws from the posterior n times; ``best()`` gives the probabilities of being best.
    """
    if np.random.random() < beta:
        return leader
    draws = samples(REDRAWS)
    if draws.shape[1] == 1:
        return leader
    winners: list[int] = np.argmax(draws, axis=1).tolist()
    others = [i for i in winners if i != leader]
    return others[0] if others else choose(challengers(best(), leader))


def challengers(best: list[float], leader: int) -> list[float]:
    """The probabilities of the challenger when ``leader`` was drawn first: P(best) given that it isn't the leader."""
    others = [0.0 if i == leader else p for i, p in enumerate(best)]
    total = math.fsum(others)
    if total <= 0.0:
        return [0.0 if i == leader else 1.0 / (len(best) - 1) for i in range(len(best))]
    return [p / total for p in others]


def top_two(best: list[float], beta: float) -> list[float]:
    """Probabilities of the top-two rule from the probabilities of being best.

    An arm is played as the leader, or as the challenger of any other leader: with ``1 - P`` for each leader summed
    from the others' probabilities, a leader that is nearly certain does no harm.

    >>> [round(p, 6) for p in top_two([0.7, 0.2, 0.1], 0.5)]
    [0.476389, 0.344444, 0.179167]
    """
    if len(best) == 1:
        return [1.0]
    # 1 - p, from the partial sums on both sides of the arm: no cancellation when p is nearly one.
    left = np.concatenate([[0.0], np.cumsum(best)[:-1]])
    right = np.concatenate([np.cumsum(best[::-1])[::-1][1:], [0.0]])
    rest = left + right
    certain = rest <= 0.0
    odds = np.divide(best, rest, out=np.zeros(len(best)), where=~certain)
    p = np.array(best) * (beta + (1.0 - beta) * (odds.sum() - odds))
    p[~certain] += (1.0 - beta) * certain.any() / (len(best) - 1)
    return [float(share) for share in p / p.sum()]
