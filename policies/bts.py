"""Bootstrapped Thompson sampling: a posterior made of replicates, for any estimator at all."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import scipy.special as sc
from numpy.typing import NDArray

from policies.checks import MOST_VALUES, Range, fault
from policies.policy import Arm, Policy, Theta
from policies.ties import ROUNDING

Floats = NDArray[np.float64]

REPLICATES = Range(1, 10_000, whole=True)


class BTS:
    """m bootstrap replicates of any estimator that learns with ``update(y, x)``.

    Each observation counts twice or not at all for a replicate, with equal chances: the double-or-nothing bootstrap,
    which needs one pass and no memory of the data. The replicates then differ as much as estimates from new samples
    would, so taking the best action according to one of them, drawn at random, is Thompson sampling without a
    likelihood or a prior.

    Parameters
    ----------
    params
        Theta: ``{i: theta of replicate i}``, taken in turn if their number isn't m; or one theta, which all replicates
        start with; or ``{}``.
    update_method
        The class of the estimator, for example :class:`policies.lm.LM`.
    m
        How many replicates.
    default_params
        The theta of a fresh replicate.
    param_noise, noisesd
        Whether the vectors in it get normal noise, and its standard deviation. Without it fresh replicates are all
        equal. Matrices, which hold precisions, get none.

    Examples
    --------
    >>> from policies.lm import LM
    >>> np.random.seed(1)
    >>> replicates = BTS({}, LM, m=50, default_params={"b": [0.0, 0.0], "A": [[1.0, 0.0], [0.0, 1.0]], "n": 0})
    >>> for x in range(40):
    ...     replicates.update(y=3.0 + 0.5 * x, x=[1.0, x])
    >>> round(float(LM(replicates.sample()).get_coefs()[1]), 3)
    0.514

    References
    ----------
    Eckles and Kaptein (2014). Thompson sampling with the online bootstrap. arXiv:1410.4009.
    """

    def __init__(
        self,
        params: Mapping[Any, Any] | None,
        update_method: Callable[[Any], Any],
        m: int = 100,
        default_params: Theta | None = None,
        param_noise: bool = True,
        noisesd: float = 0.1,
    ) -> None:
        self.update_method = update_method
        self.m = REPLICATES.check("m", m)
        self.default_params = default_params
        self.param_noise = param_noise
        self.noisesd = Range(0).check("noisesd", noisesd)
        stored = {str(i): theta for i, theta in (params or {}).items()}
        if stored and all(str(i) in stored for i in range(len(stored))):
            self.params: list[dict[str, Any]] = [dict(stored[str(i % len(stored))]) for i in range(m)]
        else:
            self.params = [self._fresh(default_params if default_params is not None else params) for _ in range(m)]
        self._must_fit(self.params[0])

    def sample(self) -> dict[str, Any]:
        """The theta of one replicate, drawn at random."""
        return dict(self.params[np.random.randint(self.m)])

    def update(self, y: Any, x: Any, *args: Any, **kwargs: Any) -> None:
        """Show one observation to the replicates, twice or never each.

        What comes after ``y`` and ``x`` goes on to the estimator: by position to its class, by name to its ``update``.

        Raises
        ------
        ValueError
            A number is not finite or would not be in a replicate, or the replicates would not fit into theta. They
            are then as they were.
        """
        after = list(self.params)
        for i in np.flatnonzero(np.random.random(self.m) < 0.5).tolist():
            estimator = self.update_method(self.params[i], *args)
            estimator.update(y, x, **kwargs)
            estimator.update(y, x, **kwargs)
            after[i] = estimator.get_dict()
            if after[i] and (where := fault(after[i], f"theta['{i}']")):
                raise ValueError(f"{where} would not be a finite number after this observation")
        self._must_fit(next((new for new, old in zip(after, self.params, strict=True) if new is not old), {}))
        self.params = after

    def get_dict(self) -> dict[str, dict[str, Any]]:
        """``{i: theta of replicate i}``."""
        return {str(i): theta for i, theta in enumerate(self.params)}

    def _must_fit(self, replicate: Theta) -> None:
        values = self.m * (size(replicate) + 1)
        if values > MOST_VALUES:
            raise ValueError(
                f"m is {self.m}: so many replicates would have {values:,} values in theta, and at most {MOST_VALUES:,} "
                "can be stored"
            )

    def _fresh(self, theta: Mapping[Any, Any] | None) -> dict[str, Any]:
        fresh = {str(key): value for key, value in (theta or {}).items()}
        if self.param_noise and self.default_params is not None:
            for key, value in fresh.items():
                if isinstance(value, list) and np.ndim(value) == 1:
                    fresh[key] = np.random.normal(value, self.noisesd).tolist()
        return fresh


def size(value: Any) -> int:
    """How many values, keys and containers there are.

    >>> size({"b": [0.0, 0.0], "n": 0})
    7
    """
    if isinstance(value, Mapping):
        return 1 + len(value) + sum(map(size, value.values()))
    if isinstance(value, list):
        return 1 + (sum(map(size, value)) if value and isinstance(value[0], list | Mapping) else len(value))
    return 1


class BootstrappedThompson(Policy):
    """Thompson sampling with m bootstrap replicates of the arms' means.

    No distribution of the rewards is assumed: each replicate has seen its own resample of them, and the arm with the
    highest mean in a replicate drawn at random is played. The propensity of an arm is the share of replicates in
    which it leads. Each replicate starts with one made-up reward per arm, spread over the replicates like a normal
    distribution; without it an arm whose first rewards were all alike would look certain.

    Parameters
    ----------
    theta
        ``{arm: {"n": [m counts], "m": [m means]}}``.
    arms
        The arms.
    m
        How many replicates, up to 10,000, which is also how finely propensities are graded. A stored theta keeps its
        own number.
    prior_mean, prior_sd
        Mean and standard deviation of the made-up rewards, to be chosen like the rewards' own.
    floor
        See :class:`policies.policy.Policy`; without it propensities may be 0.

    Examples
    --------
    >>> policy = BootstrappedThompson({}, ["a", "b"])
    >>> np.random.seed(1)
    >>> for _ in range(20):
    ...     policy.update("a", 0)
    ...     policy.update("b", 1)
    >>> policy.pull()
    ('b', 1.0)

    References
    ----------
    Eckles and Kaptein (2014). Thompson sampling with the online bootstrap. arXiv:1410.4009. Osband and Van Roy (2015).
    Bootstrapped Thompson sampling and deep exploration. arXiv:1507.00300.
    """

    ranges: ClassVar = {**Policy.ranges, "m": REPLICATES, "prior_mean": Range(), "prior_sd": Range(0)}
    m: int
    prior_mean: float
    prior_sd: float

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        m: int = 100,
        prior_mean: float = 0.0,
        prior_sd: float = 1.0,
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, floor, m=m, prior_mean=prior_mean, prior_sd=prior_sd)

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        """The reward counts twice or never in each replicate."""
        theta = self.theta.get(name) or self._fresh(name)
        weight = 2.0 * np.random.randint(2, size=len(theta["n"]))
        n = np.array(theta["n"], dtype=float) + weight
        mean = np.array(theta["m"], dtype=float)
        self.theta[name] = {"n": n.tolist(), "m": (mean + (reward - mean) * weight / n).tolist()}

    def _fresh(self, name: str) -> dict[str, list[float]]:
        """The made-up rewards: quantiles in an order of the arm's own, the same at each call."""
        order = np.random.RandomState(zlib.crc32(name.encode())).permutation(self.m)
        rewards = self.prior_mean + self.prior_sd * sc.ndtri((order + 0.5) / self.m)
        return {"n": [1.0] * self.m, "m": rewards.tolist()}

    def _means(self) -> Floats:
        """Means, replicates in rows, arms in columns."""
        rows = [(self.theta.get(name) or self._fresh(name))["m"] for name in self.names]
        m = min(len(row) for row in rows)
        return np.array([row[:m] for row in rows], dtype=float).T

    def _values(self, features: int) -> int:
        return (2 * self.m + 6) * len(self.arms) + 1

    def _probabilities(self, context: Any) -> list[float]:
        means = self._means()
        if not np.isfinite(means).all():
            raise ArithmeticError("a mean is not finite")
        best = means.max(axis=1, keepdims=True)
        leads = means >= best - ROUNDING * np.abs(best)
        shares: list[float] = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0).tolist()
        return shares
