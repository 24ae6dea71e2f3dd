"""Guaranteed intervals of arms, by betting: at all times, for every size of log."""

from __future__ import annotations

import numpy as np

from app.analysis.betting import ConfidenceSequence, K, arm_controls, betting_sequence
from app.analysis.log import DecisionLog


def guaranteed(log: DecisionLog, arm: int, level: float = 0.95, k: float = K) -> ConfidenceSequence | None:
    """The betting sequence of the policy that always chooses ``arm``; None without bounds of the reward.

    ``[lo, hi]`` for an arm that was never drawn.

    >>> log = DecisionLog(("a", "b"), np.zeros(9, int), np.full(9, 0.5), np.ones(9), lo=0.0, hi=1.0)
    >>> guaranteed(log, 1).low, guaranteed(log, 1).high
    (0.0, 1.0)
    """
    if log.lo is None:
        return None
    w = (log.chosen == arm) / log.propensity
    controls = None
    if log.pmf is not None and k > 0:
        pi = np.zeros((len(log), len(log.arms)))
        pi[:, arm] = 1.0
        controls = arm_controls(pi, log.pmf, log.chosen, w, k)
    return betting_sequence(w, log.reward, log.lo, log.hi, level, controls=controls, k=k)


def guaranteed_contrast(
    log: DecisionLog, arm: int, control: int, level: float = 0.95, k: float = K
) -> ConfidenceSequence | None:
    """The difference of two arms from their sequences at alpha/2 each."""
    each = 1 - (1 - level) / 2
    one, other = guaranteed(log, arm, each, k), guaranteed(log, control, each, k)
    if one is None or other is None:
        return None
    return ConfidenceSequence(one.low - other.high, one.high - other.low, one.method, one.k)
