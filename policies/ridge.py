"""Ridge regression per arm: what the linear policies share.

Theta of an arm is that of :class:`policies.lm.LM`: ``{"A": sum of x x', "b": sum of y x, "n": count}``, where A starts
at ``lam`` times the identity, and ``"names"`` of the features if the contexts have them.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.checks import Range
from policies.features import Features, features, in_order
from policies.policy import Policy

Floats = NDArray[np.float64]

FLAT = 1e-10  # directions with less than this share of the largest eigenvalue count as unseen
PENALTY = Range(1e-12, 1e12)


class ArmRegressions(Policy):
    """A contextual policy with an independent regression for each arm.

    The context is a sequence of features, a mapping of names to features, or a mapping of each arm to its own sequence.
    Without a context there is one feature, 1. No intercept is added. Features with names are matched by their names: a
    missing or an unknown one is an error.
    """

    contextual: ClassVar[bool] = True
    ranges: ClassVar = {**Policy.ranges, "lam": PENALTY}
    lam: float

    def _features(self, context: Any, arms: list[str]) -> Features:
        found = features(context, arms)
        self._must_fit(found.x.shape[1])
        return in_order(found, [(self.theta.get(arm) or {}).get("names") for arm in arms])

    def _values(self, features: int) -> int:
        return (features * (features + 3) + 10) * len(self.arms) + 1


class RidgePolicy(ArmRegressions):
    """A contextual policy with an independent ridge regression for each arm."""

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        found = self._features(context, [name])
        x = found.x[0]
        A, b = self._state([name], len(x))
        n = int((self.theta.get(name) or {}).get("n", 0)) + 1
        theta = {"b": (b[0] + reward * x).tolist(), "A": (A[0] + np.outer(x, x)).tolist(), "n": n}
        self.theta[name] = theta if found.names is None else {**theta, "names": found.names}

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

    def _predictions(self, context: Any) -> tuple[Floats, Floats]:
        """Prediction of each arm's reward, and its variance in units of the noise variance."""
        x = self._features(context, self.names).x
        A, b = self._state(self.names, x.shape[1])
        spread = np.einsum("kij,kj->ki", invert(A), x)
        return np.einsum("ki,ki->k", spread, b), np.maximum(np.einsum("ki,ki->k", spread, x), 0.0)


def invert(matrices: Floats) -> Floats:
    """Inverses of symmetric positive matrices, one after another along the first axis.

    They are scaled to a unit diagonal first, so that features of 1e12 and 1e-12 may stand side by side. A singular one
    (a feature never seen, or one that is a copy of another) gets a huge variance where nothing is known.

    >>> invert(np.array([[[4.0, 0.0], [0.0, 2.0**-80]]])).tolist() == [[[0.25, 0.0], [0.0, 2.0**80]]]
    True
    """
    if not np.isfinite(matrices).all():
        raise ArithmeticError("a matrix is not finite")
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


def solve(matrix: Floats, vector: Floats) -> Floats:
    """The solution x of ``matrix x = vector``, more exact than through the inverse; a singular matrix as there.

    >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([1.0, 1.0])).tolist()
    [0.5, 0.25]
    """
    diagonal = np.diagonal(matrix)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    inverse = invert(matrix[None])[0]
    inflation = np.diagonal(inverse) / scale**2
    if ((inflation > 0.999) & (inflation < 1.0 / FLAT)).all():
        try:
            return np.asarray(scale * np.linalg.solve(matrix * np.outer(scale, scale), scale * vector))
        except np.linalg.LinAlgError:
            pass
    return np.asarray(inverse @ vector)
