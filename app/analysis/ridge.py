"""What each arm earns in a context: ridge regression, fitted on earlier rows only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.analysis.arrays import Floats
from app.analysis.log import DecisionLog


@dataclass(frozen=True, eq=False)
class Predictions:
    """``own``: the predicted reward of the chosen arm, ``expected``: ``sum_a pi(a) q(a)``; both of shape (n,)."""

    own: Floats
    expected: Floats


def design(log: DecisionLog, features: Sequence[str]) -> Floats:
    """The columns (1, features), shape (n, 1 + d); raises ValueError where a feature is not a number in every row."""
    columns = [np.ones(len(log))]
    for name in features:
        if name not in log.context:
            raise ValueError(f"features: the context has no field {name!r}")
        try:
            column = np.asarray(log.context[name], dtype=float)
        except (TypeError, ValueError):
            column = np.full(len(log), np.nan)
        if column.shape != (len(log),) or not np.isfinite(column).all():
            raise ValueError(f"features: the context field {name!r} must be a finite number in every row")
        columns.append(column)
    return np.stack(columns, axis=1)


class _Ridge:
    """One regression per arm, from sums of squares and products; arms without rows predict 0."""

    def __init__(self, arms: int, width: int, penalty: float) -> None:
        if not (penalty > 0 and math.isfinite(penalty)):
            raise ValueError(f"ridge: {penalty!r} must be a positive number")
        self.squares = np.tile(np.eye(width) * penalty, (arms, 1, 1))
        self.products = np.zeros((arms, width))

    def add(self, x: Floats, log: DecisionLog, at: slice) -> None:
        chosen, reward = log.chosen[at], log.reward[at]
        for arm in np.unique(chosen):
            rows = x[at][chosen == arm]
            self.squares[arm] += rows.T @ rows
            self.products[arm] += rows.T @ reward[chosen == arm]

    def predict(self, x: Floats) -> Floats:
        """``q(x, a)``, shape (rows, K)."""
        return np.asarray(x @ np.linalg.solve(self.squares, self.products[..., None])[..., 0].T)


def block_slices(n: int, blocks: int) -> list[slice]:
    """Consecutive blocks of ``ceil(n / blocks)`` rows; the last may be shorter.

    >>> block_slices(5, 2)
    [slice(0, 3, None), slice(3, 5, None)]
    """
    if blocks < 1:
        raise ValueError(f"blocks: {blocks!r} must be 1 or more")
    size = max(1, math.ceil(n / blocks))
    return [slice(begin, min(n, begin + size)) for begin in range(0, n, size)]


def forward(log: DecisionLog, x: Floats, penalty: float = 1.0, blocks: int = 20) -> Iterator[tuple[slice, Floats]]:
    """Each block of rows with its ``q(x, a)``, shape (rows, K), by a model of the blocks before it; 0 in the first.

    Folds of K-fold cross-fitting hold later rows, whose probabilities depended on the rewards of earlier ones: under
    adaptive logging they leak.
    """
    model = _Ridge(len(log.arms), x.shape[1], penalty)
    for at in block_slices(len(log), blocks):
        yield at, model.predict(x[at])
        model.add(x, log, at)


def fit_forward(log: DecisionLog, pi: Floats, x: Floats, penalty: float = 1.0, blocks: int = 20) -> Predictions:
    """Predictions of each block from the blocks before it (Kato 2020; Bibaut et al. 2021)."""
    return _collect(log, pi, forward(log, x, penalty, blocks))


def fit_all(log: DecisionLog, pi: Floats, x: Floats, penalty: float = 1.0) -> Predictions:
    """Predictions of every row by one model of all rows; for the direct method only, which claims no interval."""
    model = _Ridge(len(log.arms), x.shape[1], penalty)
    model.add(x, log, slice(0, len(log)))
    blocks = block_slices(len(log), 1 + len(log) * len(log.arms) // 10**6)
    return _collect(log, pi, ((at, model.predict(x[at])) for at in blocks))


def _collect(log: DecisionLog, pi: Floats, predicted: Iterable[tuple[slice, Floats]]) -> Predictions:
    found = Predictions(np.zeros(len(log)), np.zeros(len(log)))
    for at, q in predicted:
        found.own[at] = q[np.arange(len(q)), log.chosen[at]]
        found.expected[at] = np.einsum("ij,ij->i", pi[at], q)
    return found
