"""LinUCB: upper confidence bounds on rewards that are linear in the context, disjoint and hybrid."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from policies.arms import arm_name
from policies.checks import Range
from policies.features import Features, features, in_order, vector
from policies.policy import Arm, Policy, Theta
from policies.ridge import PENALTY, Floats, RidgePolicy, invert
from policies.ties import share_best


class LinUCB(RidgePolicy):
    """Take the arm whose predicted reward plus ``alpha`` standard errors is the highest.

    Each arm has a ridge regression of its rewards on the context. The standard error of a prediction is small for
    contexts like those the arm was played in and large elsewhere, so the bonus explores where this arm is unknown
    *for this context*. With K arms and d features regret is of the order of the square root of ``K d T``.

    Parameters
    ----------
    theta
        ``{arm: {"A", "b", "n"}}``, as :class:`policies.lm.LM` keeps it.
    arms
        The arms.
    alpha
        How many standard errors, in units of the rewards' noise.
    lam
        Ridge penalty of a fresh arm.
    floor
        See :class:`policies.policy.Policy`; 0 gives propensities of 0 and 1.

    Examples
    --------
    >>> policy = LinUCB({}, ["a", "b"])
    >>> for x, arm, reward in (([1, 0], "a", 1), ([0, 1], "b", 1), ([1, 0], "b", 0), ([0, 1], "a", 0)):
    ...     policy.update(arm, reward, x)
    >>> policy.pull([1, 0.2])
    ('a', 1.0)

    References
    ----------
    Li, Chu, Langford and Schapire (2010). A contextual-bandit approach to personalized news article recommendation.
    WWW.
    """

    ranges: ClassVar = {**RidgePolicy.ranges, "alpha": Range(0)}
    alpha: float

    def __init__(
        self, theta: Theta | None, arms: Iterable[Arm], alpha: float = 1.0, lam: float = 1.0, floor: float = 0.0
    ) -> None:
        super().__init__(theta, arms, floor, alpha=alpha, lam=lam)

    def _probabilities(self, context: Any) -> list[float]:
        mean, variance = self._predictions(context)
        return share_best((mean + self.alpha * np.sqrt(variance)).tolist())


class HybridLinUCB(Policy):
    """LinUCB whose arms share what they have in common.

    Part of the reward is linear in the products of the context with the features of the arm (its price, its topic),
    with coefficients shared by all arms; the rest is linear in the context with coefficients of its own. A new arm
    starts with what its features say, instead of with nothing.

    Parameters
    ----------
    theta
        ``{"shared": {"A0", "b0"}, "arms": {arm: {"A", "b", "B", "n"}}}``, and ``names`` of the features in ``shared``.
    arms
        The arms.
    arm_features
        ``{arm: [features]}``, of the same length for all arms; an arm that isn't listed shares nothing. Without any,
        each arm has the one feature 1.
    alpha
        How many standard errors, in units of the rewards' noise.
    lam
        Ridge penalty of both parts.
    floor
        See :class:`policies.policy.Policy`.

    Examples
    --------
    >>> shape = {"round": [1, 0], "cube": [0, 1], "ball": [1, 0]}
    >>> policy = HybridLinUCB({}, ["round", "cube"], shape, alpha=0.1)
    >>> for _ in range(5):
    ...     policy.update("round", 1, [1.0])
    ...     policy.update("cube", 0, [1.0])
    >>> HybridLinUCB(policy.get_dict(), ["cube", "ball"], shape, alpha=0.1).pull([1.0])
    ('ball', 1.0)

    References
    ----------
    Li, Chu, Langford and Schapire (2010). A contextual-bandit approach to personalized news article recommendation.
    WWW. Algorithm 2.
    """

    contextual: ClassVar[bool] = True
    ranges: ClassVar = {**Policy.ranges, "alpha": Range(0), "lam": PENALTY}
    alpha: float
    lam: float

    def __init__(
        self,
        theta: Theta | None,
        arms: Iterable[Arm],
        arm_features: Mapping[Any, Sequence[float]] | None = None,
        alpha: float = 1.0,
        lam: float = 1.0,
        floor: float = 0.0,
    ) -> None:
        super().__init__(theta, arms, floor, alpha=alpha, lam=lam)
        rows = {arm_name(arm): vector(row, f"arm_features of {arm!r}") for arm, row in (arm_features or {}).items()}
        if len({len(row) for row in rows.values()}) > 1:
            raise ValueError(f"arm_features is {arm_features!r} and must have as many features for each arm")
        self.arm_features: dict[str, list[float]] = {name: row.tolist() for name, row in rows.items()}

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        found, y = self._features(context, [name]), reward
        x, z = self._both(found, [name])
        A0, b0, A, b, B = self._state([name], x, z)
        A, b, B, x, z = A[0], b[0], B[0], x[0], z[0]
        old = invert(A[None])[0] @ np.column_stack([B, b])
        A0, b0 = A0 + B.T @ old[:, :-1], b0 + B.T @ old[:, -1]
        A, b, B = A + np.outer(x, x), b + y * x, B + np.outer(x, z)
        new = invert(A[None])[0] @ np.column_stack([B, b])
        A0, b0 = A0 + np.outer(z, z) - B.T @ new[:, :-1], b0 + y * z - B.T @ new[:, -1]
        arms = dict(self.theta.get("arms", {}))
        shared: dict[str, Any] = {"A0": (0.5 * (A0 + A0.T)).tolist(), "b0": b0.tolist()}
        if found.names is not None:
            shared["names"] = found.names
        n = int(arms.get(name, {}).get("n", 0)) + 1
        arms[name] = {"A": A.tolist(), "b": b.tolist(), "B": B.tolist(), "n": n}
        self.theta.update(shared=shared, arms=arms)

    def _features(self, context: Any, names: list[str]) -> Features:
        found = features(context, names)
        self._must_fit(found.x.shape[1])
        return in_order(found, [(self.theta.get("shared") or {}).get("names")])

    def _values(self, features: int) -> int:
        products = features * len(next(iter(self.arm_features.values()), [1.0]))
        own = features * (features + products + 3) + 10
        return own * len(self.arms) + products * (products + 2) + features + 12

    def _both(self, found: Features, names: list[str]) -> tuple[Floats, Floats]:
        """The context of each arm, and its products with the arm's own features."""
        x = found.x
        unlisted = [0.0] * len(next(iter(self.arm_features.values()))) if self.arm_features else [1.0]
        own = np.array([self.arm_features.get(name, unlisted) for name in names], dtype=float)
        return x, (x[:, :, None] * own[:, None, :]).reshape(len(names), -1)

    def _state(self, names: list[str], x: Floats, z: Floats) -> tuple[Floats, ...]:
        d, k = x.shape[1], z.shape[1]
        shared = self.theta.get("shared") or {"A0": self.lam * np.eye(k), "b0": np.zeros(k)}
        fresh = {"A": (self.lam * np.eye(d)).tolist(), "b": [0.0] * d, "B": [[0.0] * k] * d}
        arms = self.theta.get("arms", {})
        A, b, B = (np.array([arms.get(name, fresh)[part] for name in names], dtype=float) for part in ("A", "b", "B"))
        if A.shape[1:] != (d, d) or B.shape[1:] != (d, k) or np.shape(shared["b0"]) != (k,):
            raise ValueError(f"the context has {d} features and {k} products with the arm's, theta another number")
        return np.array(shared["A0"], dtype=float), np.array(shared["b0"], dtype=float), A, b, B

    def indices(self, context: Any = None) -> dict[Any, float]:
        """``{arm: index}``."""
        return dict(zip(self.arms, self._indices(context), strict=True))

    def _probabilities(self, context: Any) -> list[float]:
        return share_best(self._indices(context))

    def _indices(self, context: Any) -> list[float]:
        x, z = self._both(self._features(context, self.names), self.names)
        A0, b0, A, b, B = self._state(self.names, x, z)
        inverse0, inverse = invert(A0[None])[0], invert(A)
        beta = inverse0 @ b0
        own = np.einsum("kij,kj->ki", inverse, b - B @ beta)
        spread = np.einsum("kij,kj->ki", inverse, x)
        rest = z - np.einsum("kij,ki->kj", B, spread)  # what the arm's own regression leaves to the shared one
        variance = np.einsum("ki,ij,kj->k", rest, inverse0, rest) + np.einsum("ki,ki->k", x, spread)
        index = z @ beta + np.einsum("ki,ki->k", x, own) + self.alpha * np.sqrt(np.maximum(variance, 0.0))
        return [float(each) for each in index]
