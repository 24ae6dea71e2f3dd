"""What happened per arm and block: rates, delays and missing rewards, without a test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.analysis.arrays import Floats
from app.analysis.checks.drift import BLOCKS
from app.analysis.log import DecisionLog
from app.analysis.ridge import block_slices

QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Described:
    """One arm in one block: rows, mean reward, the share without one, and quantiles of the delay in seconds."""

    arm: str
    block: int
    n: int
    reward: float | None
    missing: float | None
    delay: tuple[float, ...] | None


def described(log: DecisionLog, delay: Floats | None = None, blocks: int = BLOCKS) -> list[Described]:
    """Every arm in every block; ``delay`` has shape (n,), NaN where no reward came.

    >>> log = DecisionLog(("a", "b"), np.array([0, 1]), np.ones(2), np.array([1.0, np.nan]))
    >>> [(each.arm, each.n, each.reward, each.missing) for each in described(log, blocks=1)]
    [('a', 1, 1.0, 0.0), ('b', 1, None, 1.0)]
    """
    found = []
    for block, at in enumerate(block_slices(len(log), blocks)):
        for arm, label in enumerate(log.arms):
            rows = np.flatnonzero(log.chosen[at] == arm) + at.start
            reward = log.reward[rows]
            there = reward[~np.isnan(reward)]
            waited = None if delay is None else delay[rows][~np.isnan(delay[rows])]
            found.append(
                Described(
                    label,
                    block,
                    len(rows),
                    float(there.mean()) if len(there) else None,
                    1 - len(there) / len(rows) if len(rows) else None,
                    None if waited is None or not len(waited) else tuple(np.quantile(waited, QUANTILES).tolist()),
                )
            )
    return found
