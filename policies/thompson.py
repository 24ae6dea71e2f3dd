"""Thompson sampling for rewards of zero and one, and for the precision of an experiment."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from policies.base import List, Proportion, Variance
from policies.checks import PairRange, Range
from policies.gammas import BetaScores, GainScores
from policies.policy import Arm, Policy, Theta
from policies.posterior import PosteriorPolicy
from policies.ties import pick_best

FEW = 12  # up to here numpy's call for arrays costs more than a call per arm
PRIOR = PairRange(0.05, 1e9)  # below it a quantile of the log-odds is more than a double can hold as a rate


class BernoulliThompson(PosteriorPolicy):
    """Thompson sampling for rewards of zero and one.

    The posterior of an arm's success rate after s successes and f failures is Beta(prior[0] + s, prior[1] + f). One
    rate is drawn from each posterior and the arm with the highest is chosen, so an arm is chosen as often as it is
    believed to be the best: uncertain arms are explored, hopeless ones are not. :meth:`draw` does just that; the
    probabilities are the exact ones, by quadrature.

    Parameters
    ----------
    theta
        ``{arm: {"p": ..., "n": ...}}``, as :class:`policies.base.Proportion` keeps it; ``p * n`` are the successes. A
        reward outside 0..1 counts as the nearer bound, one between them as a part of a success.
    arms
        The arms.
    prior
        Successes and failures added to each arm, 0.05 or more of each.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> policy = BernoulliThompson({"a": {"p": 0.3, "n": 10}, "b": {"p": 0.8, "n": 10}}, ["a", "b"])
    >>> np.random.seed(1)
    >>> arm, propensity = policy.pull()
    >>> arm, round(propensity, 6)
    ('b', 0.985013)

    References
    ----------
    Thompson (1933). On the likelihood that one unknown probability exceeds another in view of the evidence of two
    samples. Biometrika 25(3/4). Chapelle and Li (2011). An empirical evaluation of Thompson sampling. NIPS 24.
    """

    ranges: ClassVar = {**Policy.ranges, "prior": PRIOR}
    prior: Sequence[float]

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], prior: Sequence[float] = (1.0, 1.0), floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, floor, prior=prior)

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        proportion = Proportion(self.theta.get(name))
        proportion.update(reward)
        self.theta[name] = proportion.get_dict()

    def _posterior(self) -> tuple[list[float], list[float]]:
        return beta_posterior([counts(self.theta.get(name)) for name in self.names], self.prior)

    def _scores(self, context: Any) -> BetaScores:
        return beta_scores(*self._posterior())

    def _draw(self, context: Any) -> int:
        return draw_beta(*self._posterior())


class BBThompsonList(List[Proportion]):
    """A list of proportions that chooses by Thompson sampling.

    The same policy as :class:`BernoulliThompson` with a flat prior, for scripts that keep one
    :class:`policies.base.Proportion` per arm. Arms with no success or no failure yet are arms like any other: their
    posterior is Beta(1, 1 + n) or Beta(1 + n, 1).

    Parameters
    ----------
    thetas
        ``{name: {"p": ..., "n": ...}}``, as ``self.get_theta(key=...)`` answers.
    names
        The arms.

    Examples
    --------
    >>> thetas = {"control": {"p": 0.0, "n": 50}, "treatment": {"p": 0.1, "n": 50}}
    >>> arms = BBThompsonList(thetas, ["control", "treatment"])
    >>> np.random.seed(1)
    >>> arms.thompson()
    'treatment'
    >>> round(arms.propensity("treatment"), 8)
    0.98662547

    References
    ----------
    Kaptein and Kruijswijk (2016). StreamingBandit: a platform for developing adaptive persuasive systems.
    arXiv:1602.06700.
    """

    def __init__(self, thetas: Mapping[Any, Theta], names: Iterable[Any]) -> None:
        super().__init__(thetas, Proportion, names)

    def thompson(self) -> Any:
        """Draw an arm."""
        return self.names[draw_beta(*self._posterior())]

    def propensity(self, name: Any, n: int | None = None) -> float:
        """The probability that :meth:`thompson` draws ``name``.

        It is exact; the number of draws ``n`` that older scripts pass is not needed any more.
        """
        return best_beta(*self._posterior())[self.names.index(name)]

    def _posterior(self) -> tuple[list[float], list[float]]:
        return beta_posterior([counts(estimator.value) for estimator in self.base_list.values()], (1.0, 1.0))


class ThompsonVarList(List[Variance]):
    """Assign the next subject where it is expected to make the comparison most precise.

    The variance of an estimated difference is the sum of ``v / n`` over the groups. One more subject lowers a group's
    term by ``v / (n (n + 1))``; v isn't known, so it is drawn from its posterior, a scaled inverse chi-square, and
    the group with the largest gain gets the subject. Noisy groups so end up with more subjects. Groups with fewer
    than two come first.

    The prior of v is a scaled inverse chi-square with ``nu0`` degrees of freedom around the variance within all groups
    together. Without it a group whose first two values are equal would seem to have no variance, and would never get
    another subject.

    Parameters
    ----------
    thetas
        ``{name: {"n", "x_bar", "s", "v"}}``, as ``self.get_theta(key=...)`` answers.
    names
        The groups.
    nu0
        How many observations of the variance the prior is worth, 1 or more.
    floor
        Each group gets the subject with probability ``floor / K`` at least.

    Examples
    --------
    >>> calm = {"n": 20, "x_bar": 5.0, "s": 19.0, "v": 1.0}
    >>> noisy = {"n": 20, "x_bar": 5.0, "s": 190.0, "v": 10.0}
    >>> groups = ThompsonVarList({"calm": calm, "noisy": noisy}, ["calm", "noisy"])
    >>> np.random.seed(1)
    >>> sum(groups.experimentThompson() == "noisy" for _ in range(100))
    100
    >>> round(groups.propensity("calm"), 9)
    1.0411e-05

    References
    ----------
    Kaptein (2015). The use of Thompson sampling to increase estimation precision. Behavior Research Methods 47(2).
    """

    def __init__(self, thetas: Mapping[Any, Theta], names: Iterable[Any], nu0: float = 1.0, floor: float = 0.0) -> None:
        super().__init__(thetas, Variance, names)
        self.nu0 = Range(1, 1e9).check("nu0", nu0)
        self.floor = Range(0, 1).check("floor", floor)

    def experimentThompson(self) -> Any:
        """Draw a group."""
        if self.floor and random.random() < self.floor:
            return random.choice(self.names)
        fresh = self._fresh()
        return random.choice(fresh) if fresh else self.names[self._gains().draw()]

    def propensity(self, name: Any) -> float:
        """The probability that :meth:`experimentThompson` draws ``name``; exact, by quadrature."""
        fresh = self._fresh()
        p = (name in fresh) / len(fresh) if fresh else self._gains().best()[self.names.index(name)]
        return float((1.0 - self.floor) * p + self.floor / len(self.names))

    def _fresh(self) -> list[Any]:
        return [name for name, group in self.base_list.items() if group.get_count() < 2]

    def _gains(self) -> GainScores:
        """The gain of a group is ``(nu0 v0 + s) / (n (n + 1))`` over a chi-square with ``nu0 + n - 1``."""
        n = np.array([group.get_count() for group in self.base_list.values()], dtype=float)
        s = np.array([float(group.value["s"]) for group in self.base_list.values()])
        if not np.isfinite(s).all():
            raise ValueError(f"theta of a group holds a sum of squares that is not finite: {s.tolist()}")
        pooled = s.sum() / (n - 1.0).sum() or 1.0  # where nothing varies any unit will do
        return GainScores((self.nu0 * pooled + s) / (n * (n + 1.0)), self.nu0 + n - 1.0)


def counts(proportion: Theta | None) -> tuple[float, float]:
    """Observations and successes of a theta of :class:`policies.base.Proportion`."""
    if not proportion:
        return 0.0, 0.0
    n = float(proportion["n"])
    return n, float(proportion["p"]) * n


def beta_posterior(arms: Iterable[tuple[float, float]], prior: Sequence[float]) -> tuple[list[float], list[float]]:
    """Both parameters of each arm's posterior, from its observations and successes."""
    a, b = [], []
    for n, total in arms:
        successes = min(max(total, 0.0), n)
        a.append(prior[0] + successes)
        b.append(prior[1] + n - successes)
    return a, b


def beta_scores(a: list[float], b: list[float]) -> BetaScores:
    """The log-odds of rates that are Beta(a, b)."""
    return BetaScores(np.array(a), np.array(b))


def draw_beta(a: list[float], b: list[float]) -> int:
    """Draw one rate per arm; the index of the highest. Rates are compared by their log-odds, which don't round to 1."""
    if not math.isfinite(sum(a) + sum(b)):
        raise ArithmeticError("the posterior is not finite")
    if len(a) > FEW:
        return beta_scores(a, b).draw()
    gamma, log = np.random.standard_gamma, math.log
    return pick_best([log(gamma(p) or 1e-300) - log(gamma(q) or 1e-300) for p, q in zip(a, b, strict=True)])


def best_beta(a: list[float], b: list[float]) -> list[float]:
    """``P(arm is best)`` for independent Beta(a, b).

    >>> [round(p, 8) for p in best_beta([4.0, 6.0, 9.0], [8.0, 6.0, 3.0])]
    [0.01004403, 0.08897818, 0.90097779]
    """
    return beta_scores(a, b).best()
