"""Linear regression, one observation at a time."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.checks import Range, finite
from policies.ridge import solve

Floats = NDArray[np.float64]


class LM:
    """A ridge regression that is updated with each observation.

    The sums of ``x x'`` and of ``y x`` are all that a least squares fit needs, whatever the number of observations.
    The sum of ``x x'`` starts at ``lam`` times the identity, a slight pull of the coefficients towards zero, so there
    is a solution from the first observation on. The pull is on the intercept too, and on raw features: centre them. The
    year 2020 with an intercept of -1000 is not found; years since 2020 are.

    Parameters
    ----------
    default
        ``{"b": ..., "A": ..., "n": ...}``, or ``{}``.
    p
        How many regressors; if it isn't given a fresh model takes it from the first observation.
    add_intercept
        Whether to put a 1 in front of each x. It isn't counted in ``p``.
    lam
        The penalty that a fresh model starts with, 0 or more; 0 is least squares. Theta keeps it within ``A``.

    Examples
    --------
    >>> model = LM({}, p=1, add_intercept=True)
    >>> for x in range(100):
    ...     model.update(3.0 + 0.5 * x, [x])
    >>> round(model.predict([10]), 2)
    7.9

    References
    ----------
    Ippel, Kaptein and Vermunt (2016). Dealing with data streams. Methodology 12(4).
    """

    def __init__(
        self, default: Mapping[str, Any] | None, p: int | None = None, add_intercept: bool = False, lam: float = 1.0
    ) -> None:
        self.p = p
        self.add_intercept = add_intercept
        self.lam = Range(0).check("lam", lam)
        theta = default or {}
        size = 0 if p is None else p + add_intercept
        self.b = vector(theta.get("b", [0.0] * size))
        self.A = matrix(theta.get("A", self.lam * np.eye(size)))
        self.n = int(theta.get("n", 0))
        self._kept = {key: value for key, value in theta.items() if key not in ("b", "A", "n")}

    def update(self, y: float, x: Sequence[float], discount: float = 1) -> None:
        """Take in one observation; ``discount`` is its weight.

        Raises
        ------
        ValueError
            A number is not finite, or would not be in theta; the model is then as it was.
        """
        row, weight = self._row(x), finite(discount, "discount")
        b, A = (self.b, self.A) if len(self.b) else (np.zeros(len(row)), self.lam * np.eye(len(row)))
        self.b, self.A = grown(b, A, row, weight * finite(y, "y"), weight)
        self.n += 1

    def get_coefs(self) -> Floats:
        """The coefficients."""
        return solve(self.A, self.b)

    def predict(self, x: Sequence[float]) -> float:
        """The expected y at x."""
        row = self._row(x)
        return float(self.get_coefs() @ row) if len(self.b) else 0.0

    def get_dict(self) -> dict[str, Any]:
        """``{"b": [p], "A": [[p], ...], "n": count}``."""
        return {"b": self.b.tolist(), "A": self.A.tolist(), "n": self.n, **self._kept}

    def _row(self, x: Sequence[float]) -> Floats:
        row = vector(x)
        return np.concatenate([[1.0], row]) if self.add_intercept else row


def grown(b: Floats, A: Floats, row: Floats, y: float, weight: float) -> tuple[Floats, Floats]:
    """Both sums of a regression after one observation; ValueError where a number in them would not be finite."""
    if not np.isfinite(row).all():
        raise ValueError(f"x is {row.tolist()} and must be finite numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        b, A = b + y * row, A + weight * np.outer(row, row)
    if not (np.isfinite(b).all() and np.isfinite(A).all()):
        raise ValueError(
            "theta would not be finite after this observation: y or x is too large, or theta was not before"
        )
    return b, A


def vector(values: Any) -> Floats:
    """One dimension, also from a nested list or the text of one, as older theta has it."""
    return np.array(json.loads(values) if isinstance(values, str) else values, dtype=float).reshape(-1)


def matrix(values: Any) -> Floats:
    """A square matrix, also from the text of one."""
    flat = vector(values)
    size = round(len(flat) ** 0.5)
    return flat.reshape(size, size)
