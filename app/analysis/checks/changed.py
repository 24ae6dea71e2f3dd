"""Whether an effect has changed: a comparison that one may repeat."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.betting import ConfidenceSequence
from app.analysis.inference.guaranteed import guaranteed_contrast
from app.analysis.log import DecisionLog


@dataclass(frozen=True)
class Changed:
    """The intervals of the first and of the last third, and whether they have no value in common."""

    first: ConfidenceSequence
    last: ConfidenceSequence
    changed: bool


def changed(log: DecisionLog, arm: int, control: int, level: float = 0.95) -> Changed | None:
    """Compare the difference of two arms in the first and the last third, by betting at 1 - alpha/2 each.

    None without bounds of the reward or with fewer than three rows.
    """
    third, each = len(log) // 3, 1 - (1 - level) / 2
    if not third:
        return None
    first = guaranteed_contrast(log.rows(slice(0, third)), arm, control, each)
    last = guaranteed_contrast(log.rows(slice(len(log) - third, None)), arm, control, each)
    if first is None or last is None:
        return None
    return Changed(first, last, first.high < last.low or last.high < first.low)
