"""A log as columns: what every analysis reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.analysis.arrays import Bools, Floats, Ints, check_bounds

TOLERANCE = 1e-9  # how far the probabilities of one decision may sum from 1


@dataclass(frozen=True, eq=False)
class DecisionLog:
    """n decisions with their rewards, in the order in which they were made.

    Parameters
    ----------
    arms
        Names of the K arms.
    chosen
        Index of the arm of each decision, shape (n,).
    propensity
        The probability with which it was chosen, in (0, 1], shape (n,).
    reward
        The reward, NaN where a finished decision has none, shape (n,).
    pmf
        The probability of every arm, shape (n, K), or None if it was not logged.
    offered
        Which arms a decision could choose from, shape (n, K); None means all.
    unit
        Number of the unit (participant) of each decision, shape (n,); None means that each is its own.
    context
        Columns of the context by field, each of length n: only the fields that an analysis names.
    lo, hi
        The least and the largest reward that is possible, as promised. None: no promise.

    Raises
    ------
    ValueError
        where shapes disagree or a probability or reward cannot be.
    """

    arms: tuple[str, ...]
    chosen: Ints
    propensity: Floats
    reward: Floats
    pmf: Floats | None = None
    offered: Bools | None = None
    unit: Ints | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    lo: float | None = None
    hi: float | None = None

    def __post_init__(self) -> None:
        n, k = len(self.chosen), len(self.arms)
        for name, column in (("propensity", self.propensity), ("reward", self.reward), ("unit", self.unit)):
            if column is not None and np.shape(column) != (n,):
                raise ValueError(f"{name}: its shape is {np.shape(column)} and must be ({n},), one number per decision")
        for name, table in (("pmf", self.pmf), ("offered", self.offered)):
            if table is not None and np.shape(table) != (n, k):
                raise ValueError(f"{name}: its shape is {np.shape(table)} and must be ({n}, {k})")
        if n and not (self.chosen.min() >= 0 and self.chosen.max() < k):
            raise ValueError(f"chosen: an index lies outside 0..{k - 1}")
        _refuse("propensity", ~((self.propensity > 0) & (self.propensity <= 1)), "must lie in (0, 1]")
        if self.pmf is not None:
            _refuse("pmf", ~(np.abs(self.pmf.sum(axis=1) - 1) <= TOLERANCE), "must sum to 1")
            _refuse("pmf", (self.pmf < 0).any(axis=1), "must not be negative")
        if self.lo is not None or self.hi is not None:
            lo, hi = check_bounds(self.lo, self.hi)
            _refuse("reward", (self.reward < lo) | (self.reward > hi), f"must lie between lo ({lo}) and hi ({hi})")

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def missing(self) -> Bools:
        """Which finished decisions have no reward, shape (n,)."""
        return np.isnan(self.reward)

    def rows(self, which: Any) -> DecisionLog:
        """The log of some rows only: a mask, indices or a slice."""

        def part(column: Any) -> Any:
            return None if column is None else column[which]

        context = {name: np.asarray(column)[which] for name, column in self.context.items()}
        columns = {
            name: part(getattr(self, name)) for name in ("chosen", "propensity", "reward", "pmf", "offered", "unit")
        }
        return replace(self, context=context, **columns)

    def with_reward(self, reward: Floats) -> DecisionLog:
        """The same decisions with other rewards."""
        return replace(self, reward=reward)


def _refuse(name: str, wrong: Any, rule: str) -> None:
    if np.any(wrong):
        raise ValueError(f"{name}: that of row {int(np.argmax(wrong))} {rule}")
