"""What a finished decision without a reward counts as."""

from __future__ import annotations

import numpy as np

from app.analysis.arrays import check_bounds
from app.analysis.log import DecisionLog

CHOICES = ("refuse", "default", "drop", "bounds")


def completed(log: DecisionLog, choice: str, default: float | None = None) -> list[DecisionLog]:
    """Logs in which no reward is missing: one, or two where missing rewards count as ``lo`` and then as ``hi``.

    ``refuse`` and ``drop`` leave the rows out: it is the caller who refuses. ``default`` fills in ``default``.
    ``bounds`` makes no assumption (Manski 1990). Raises ValueError for another choice, or without what it needs.

    >>> log = DecisionLog(("a",), np.zeros(2, int), np.ones(2), np.array([0.5, np.nan]), lo=0.0, hi=1.0)
    >>> [one.reward.tolist() for one in completed(log, "bounds")], len(completed(log, "drop")[0])
    ([[0.5, 0.0], [0.5, 1.0]], 1)
    """
    if choice not in CHOICES:
        raise ValueError(f"missing: {choice!r} must be one of {', '.join(CHOICES)}")
    gone = log.missing
    if not gone.any():
        return [log]
    if choice in ("refuse", "drop"):
        return [log.rows(~gone)]
    if choice == "bounds":
        return [log.with_reward(np.where(gone, end, log.reward)) for end in check_bounds(log.lo, log.hi)]
    if default is None:
        raise ValueError("reward: default is needed: the reward that missing ones count as")
    return [log.with_reward(np.where(gone, default, log.reward))]
