"""Whether importance weights average more than 1: an audit that re-executes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.evidence import alarm_limit, mean_weight_evidence
from app.analysis.log import DecisionLog
from app.analysis.ope.candidate import uniform


@dataclass(frozen=True)
class MeanWeight:
    """The mean weight of the uniform candidate, and ln E that its expectation exceeds 1."""

    mean: float | None
    log_evidence: float
    limit: float
    alarm: bool


def mean_weight(log: DecisionLog) -> MeanWeight:
    """Evidence over all rows, with the uniform policy over the arms of each row as target.

    Propensities that are too small make weights too large: a script that declares the probability of a pair where it
    draws an arm, say. A z test of the mean would raise false alarms: weights of adaptive logs are not independent, and
    their sample misses rare large ones.

    >>> import numpy as np
    >>> chosen = np.repeat([0, 1], [85, 15])
    >>> found = mean_weight(DecisionLog(("a", "b"), chosen, np.where(chosen == 0, 0.9, 0.05), np.zeros(100)))
    >>> round(found.log_evidence, 9), found.alarm
    (6.240914537, False)
    """
    limit = alarm_limit(1)
    if not len(log):
        return MeanWeight(None, 0.0, limit, False)
    w = uniform(log).weights(log)
    evidence = mean_weight_evidence(w)
    return MeanWeight(float(w.mean()), evidence, limit, evidence >= limit)
