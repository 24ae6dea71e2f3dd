"""Ridge regression per arm: what the linear policies share.

Theta of an arm is that of :class:`policies.lm.LM`: ``{"A": sum of x x', "b": sum of y x, "n": count}``, where A starts
at ``lam`` times the identity.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.policy import Arm, Policy, Theta, finite

Floats = NDArray[np.float64]

FLAT = 1e-10  # directions with less than this share of the largest eigenvalue count as unseen


class RidgePolicy(Policy):
    """A contextual policy with an independent ridge regression for each arm.

    The context is a sequence of features, a mapping of names to features (taken in the order of the names), or a
    mapping of each arm to its own sequence. Without a context there is one feature, 1. No intercept is added.
    """

    contextual: ClassVar[bool] = True

    def __init__(self, theta: Theta | None, arms: Iterable[Arm], lam: float = 1.0, floor: float = 0.0) -> None:
        super().__init__(theta, arms, floor)
        self.lam = lam

    def update(self, arm: Any, reward: float, context: Any = None, propensity: float | None = None) -> None:
        """Learn from one reward; ``context`` is that of the decision."""
        name = str(arm)
        x = features(context, [name])[0]
        A, b = self._state([name], len(x))
        n = int((self.theta.get(name) or {}).get("n", 0)) + 1
        self.theta[name] = {"b": (b[0] + finite(reward) * x).tolist(), "A": (A[0] + np.outer(x, x)).tolist(), "n": n}

    def _state(self, names: list[str], d: int) -> tuple[Floats, Floats]:
        """``A`` (arms, d, d) and ``b`` (arms, d)."""
        thetas = [self.theta.get(name) for name in names]
        fresh = {"A": (self.lam * np.eye(d)).tolist(), "b": [0.0] * d}
        try:
            A = np.array([(theta or fresh)["A"] for theta in thetas], dtype=float).reshape(len(names), d, d)
            b = np.array([(theta or fresh)["b"] for theta in thetas], dtype=float).reshape(len(names), d)
        except ValueError:
            raise ValueError(f"the context has {d} features, theta another number") from None
        return A, b

    def _scores(self, context: Any) -> tuple[Floats, Floats]:
        """Prediction of each arm's reward, and its variance in units of the noise variance."""
        x = features(context, self.names)
        A, b = self._state(self.names, x.shape[1])
        inverse = invert(A)
        spread = np.einsum("kij,kj->ki", inverse, x)
        return np.einsum("ki,ki->k", spread, b), np.maximum(np.einsum("ki,ki->k", spread, x), 0.0)


def features(context: Any, names: list[str]) -> Floats:
    """The features of each arm, arms in rows.

    >>> features([1.0, 0.5], ["a", "b"]).tolist()
    [[1.0, 0.5], [1.0, 0.5]]
    >>> features({"age": 30, "adult": True}, ["a"]).tolist()
    [[1.0, 30.0]]
    >>> features({"a": [1, 2], "b": [3, 4]}, ["b", "a"]).tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    if context is None:
        return np.ones((len(names), 1))
    if isinstance(context, Mapping):
        by_name = {str(key): value for key, value in context.items()}
        if by_name and all(np.ndim(value) == 1 for value in by_name.values()):
            missing = [name for name in names if name not in by_name]
            if missing:
                raise ValueError(f"the context has no features for the arms {missing}")
            return np.array([by_name[name] for name in names], dtype=float)
        context = [by_name[key] for key in sorted(by_name)]
    x = np.array(context, dtype=float)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"the context must be finite numbers, or such a list per arm; it is {context!r}")
    return np.broadcast_to(x, (len(names), len(x)))


def invert(matrices: Floats) -> Floats:
    """Inverses of symmetric positive matrices, one after another along the first axis.

    They are scaled to a unit diagonal first, so that features of 1e12 and 1e-12 may stand side by side. A singular one
    (a feature never seen, or one that is a copy of another) gets a huge variance where nothing is known.

    >>> invert(np.array([[[4.0, 0.0], [0.0, 2.0**-80]]])).tolist() == [[[0.25, 0.0], [0.0, 2.0**80]]]
    True
    """
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    outer = scale[:, :, None] * scale[:, None, :]
    scaled = matrices * outer
    try:
        inverse = np.linalg.inv(scaled)
        factors = np.diagonal(inverse, axis1=1, axis2=2)  # variance inflation: at least 1, infinite if singular
        bad = ~((factors > 0.999) & (factors < 1.0 / FLAT)).all(axis=1)
    except np.linalg.LinAlgError:
        inverse, bad = np.empty_like(scaled), np.ones(len(scaled), dtype=bool)
    if bad.any():
        values, vectors = np.linalg.eigh(scaled[bad])
        values = np.maximum(values, FLAT * np.maximum(values[:, -1:], 1.0))
        inverse[bad] = (vectors / values[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return np.asarray(inverse * outer)
