"""Upper confidence bounds: take the arm that could be the best (UCB1, UCB-tuned, KL-UCB)."""

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from policies.base import Variance
from policies.checks import Range
from policies.means import MeanPolicy
from policies.policy import Arm, Policy, Theta
from policies.ties import share_best


class IndexPolicy(Policy):
    """A policy that takes the arm with the highest index; arms nobody has tried come first."""

    @abstractmethod
    def _index(self, theta: Theta, n: int, log_t: float) -> float:
        """The index of an arm with n > 0 rewards; ``log_t`` is the log of the number of all rewards."""

    def indices(self) -> dict[Any, float]:
        """``{arm: index}``."""
        return dict(zip(self.arms, self._indices(), strict=True))

    def _indices(self) -> list[float]:
        thetas = [self.theta.get(name) or {} for name in self.names]
        counts = [int(theta.get("n", 0)) for theta in thetas]
        log_t = math.log(max(sum(counts), 1))
        pairs = zip(thetas, counts, strict=True)
        return [self._index(theta, n, log_t) if n else math.inf for theta, n in pairs]

    def _probabilities(self, context: Any) -> list[float]:
        return share_best(self._indices())


class UCB1(IndexPolicy, MeanPolicy):
    """Take the arm with the highest mean plus ``alpha * sqrt(2 ln t / n)``.

    The bonus is the width of a confidence interval (Hoeffding's). An arm leads either because it is good or because
    little is known about it; in the second case the next reward shrinks its bonus. Each inferior arm is pulled of the
    order of ln t times, so regret grows like ln t, which no policy can beat.

    Parameters
    ----------
    theta
        ``{arm: {"n": ..., "m": ...}}``, as :class:`policies.base.Mean` keeps it.
    arms
        The arms. Those without a reward come first, ties share.
    alpha
        Factor on the bonus. 1 is right for rewards between 0 and 1; else use the width of their range.
    floor
        See :class:`policies.policy.Policy`; 0 gives propensities of 0 and 1.

    Examples
    --------
    >>> policy = UCB1({"a": {"n": 10, "m": 0.3}, "b": {"n": 90, "m": 0.5}}, ["a", "b"], floor=0.1)
    >>> policy.indices()["a"]  # doctest: +ELLIPSIS
    1.259705...
    >>> policy.probabilities()
    {'a': 0.9500000000000001, 'b': 0.05}

    References
    ----------
    Auer, Cesa-Bianchi and Fischer (2002). Finite-time analysis of the multiarmed bandit problem. Machine Learning 47.
    """

    ranges: ClassVar = {**Policy.ranges, "alpha": Range(0)}
    alpha: float

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], alpha: float = 1.0, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor, alpha=alpha)

    def _index(self, theta: Theta, n: int, log_t: float) -> float:
        return float(theta["m"]) + self.alpha * math.sqrt(2.0 * log_t / n)


class UCBTuned(IndexPolicy):
    """UCB with a bonus that knows each arm's variance.

    UCB1 treats every arm as if its rewards were as noisy as a fair coin. Here an upper bound of the arm's own variance
    takes that place when it is smaller, so arms with steady rewards need fewer pulls. In practice it beats UCB1,
    though its authors prove no bound.

    Parameters
    ----------
    theta
        ``{arm: {"n", "x_bar", "s", "v"}}``, as :class:`policies.base.Variance` keeps it.
    arms
        The arms. Those without a reward come first, ties share.
    alpha
        Factor on the bonus.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> theta = {"n": 50, "x_bar": 0.5, "s": 0.5, "v": 0.0102}
    >>> steady, shaky = theta, {**theta, "s": 12.5, "v": 0.2551}
    >>> policy = UCBTuned({"steady": steady, "shaky": shaky}, ["steady", "shaky"])
    >>> {arm: round(index, 4) for arm, index in policy.indices().items()}
    {'steady': 0.6517, 'shaky': 0.6517}

    References
    ----------
    Auer, Cesa-Bianchi and Fischer (2002). Finite-time analysis of the multiarmed bandit problem. Machine Learning 47.
    """

    ranges: ClassVar = {**Policy.ranges, "alpha": Range(0)}
    alpha: float

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], alpha: float = 1.0, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor, alpha=alpha)

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        variance = Variance(self.theta.get(name))
        variance.update(reward)
        self.theta[name] = variance.get_dict()

    def _index(self, theta: Theta, n: int, log_t: float) -> float:
        variance = float(theta["s"]) / n + math.sqrt(2.0 * log_t / n)
        return float(theta["x_bar"]) + self.alpha * math.sqrt(log_t / n * min(0.25, variance))


class KLUCB(IndexPolicy, MeanPolicy):
    """Take the arm with the highest mean that its rewards don't rule out.

    The index is the largest q whose Kullback-Leibler divergence from the observed rate is at most ``ln t / n``. For
    rewards of zero and one this interval is the tightest there is; near 0 and 1 it is far shorter than UCB1's, and
    the regret reaches the lower bound of Lai and Robbins.

    Parameters
    ----------
    theta
        ``{arm: {"n": ..., "m": ...}}``, as :class:`policies.base.Mean` keeps it. Rewards must lie between 0 and 1; a
        mean outside counts as the nearer bound.
    arms
        The arms. Those without a reward come first, ties share.
    tolerance
        How exactly the index is solved for, above 0.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> round(kl_upper(0.3, math.log(100) / 10, 1e-12), 8)
    0.75602274
    >>> policy = KLUCB({"a": {"n": 10, "m": 0.3}, "b": {"n": 90, "m": 0.5}}, ["a", "b"])
    >>> {arm: round(index, 4) for arm, index in policy.indices().items()}
    {'a': 0.756, 'b': 0.6559}

    References
    ----------
    Garivier and Cappé (2011). The KL-UCB algorithm for bounded stochastic bandits and beyond. COLT.
    """

    ranges: ClassVar = {**Policy.ranges, "tolerance": Range(0, 1, above=True)}
    tolerance: float

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], tolerance: float = 1e-6, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor, tolerance=tolerance)

    def _index(self, theta: Theta, n: int, log_t: float) -> float:
        return kl_upper(min(1.0, max(0.0, float(theta["m"]))), log_t / n, self.tolerance)


def kl_upper(p: float, bound: float, tolerance: float) -> float:
    """The largest q with ``kl(p, q) <= bound`` for Bernoulli distributions.

    As a function of the log-odds z of q the divergence is convex, with slope ``q - p``, and nearly straight where q is
    close to 1. So Newton's method on z gets there in a few steps; Pinsker's inequality gives the start.
    """
    if p >= 1.0 or bound <= 0.0:
        return p
    if p <= 0.0:
        return -math.expm1(-bound)
    entropy = p * math.log(p) + (1.0 - p) * math.log1p(-p)
    q = min(p + math.sqrt(0.5 * bound), 1.0 - 1e-15)
    z = math.log(q) - math.log1p(-q)
    for _ in range(50):
        small = math.exp(-z)
        q = 1.0 / (1.0 + small)
        if q <= p:
            return p
        # -log(q) = log(1 + exp(-z)) and -log(1 - q) is z more than that
        step = (entropy + math.log1p(small) + (1.0 - p) * z - bound) / (q - p)
        z -= step
        if abs(step) < tolerance:
            break
    return max(p, 1.0 / (1.0 + math.exp(-z)))
