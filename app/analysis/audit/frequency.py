"""How often re-executed decisions choose what was logged, against what was declared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.analysis.evidence import alarm_limit, choice_evidence


@dataclass(frozen=True)
class Executed:
    """One logged decision that was run again ``draws`` times with fresh seeds, on the theta that it had read.

    Parameters
    ----------
    revision, arm, p
        Of the logged decision; ``p`` is its declared propensity.
    hits
        How many runs chose the logged arm.
    single
        Whether all runs chose one and the same arm.
    seen
        Whether its unit had an earlier decision.
    total
        The sum of the declared propensities of the distinct actions of the runs, or None.
    """

    revision: int
    arm: str
    p: float
    hits: int
    single: bool = False
    seen: bool = False
    total: float | None = None


@dataclass(frozen=True)
class PropensityStratum:
    """Decisions of one revision, arm and declared p: n runs, y hits, z, and ln E that p is wrong."""

    revision: int
    arm: str
    p: float
    n: int
    y: int
    z: float | None
    log_evidence: float
    alarm: bool


def sticky(row: Executed, draws: int) -> bool:
    """Whether a row repeats an earlier decision of its unit: always one arm, though p < 1 is that of the first draw."""
    return draws > 1 and row.single and row.seen and row.p < 1


def strata(rows: Sequence[Executed], draws: int) -> tuple[PropensityStratum, ...]:
    """The evidence by revision, arm and declared p in two digits.

    False alarms are .001 at most in an experiment's life if the rows of all its audits so far are given: the evidence
    of a stratum goes on, it does not begin again. p = 1 with a miss, or a logged p = 0, is an alarm at once.

    >>> rows = [Executed(1, "a", 0.9, 19)] * 85
    >>> found = strata(rows, 20)[0]
    >>> found.n, found.y, round(found.log_evidence, 8), found.alarm
    (1700, 1615, 23.93719655, True)
    """
    groups: dict[tuple[int, str, float], list[Executed]] = {}
    for row in rows:
        if not 0 <= row.hits <= draws:
            raise ValueError(f"hits: {row.hits!r} must lie between 0 and draws ({draws})")
        if not 0 <= row.p <= 1:
            raise ValueError(f"p: {row.p!r} must lie in [0, 1]")
        groups.setdefault((row.revision, row.arm, round(row.p, 2)), []).append(row)
    limit = alarm_limit(len(groups))
    return tuple(_stratum(key, group, draws, limit) for key, group in groups.items())


def _stratum(key: tuple[int, str, float], rows: list[Executed], draws: int, limit: float) -> PropensityStratum:
    p = np.array([row.p for row in rows])
    hits = np.array([row.hits for row in rows], dtype=float)
    y, variance = int(hits.sum()), draws * float((p * (1 - p)).sum())
    z = (y - draws * float(p.sum())) / math.sqrt(variance) if variance > 0 else None
    evidence = choice_evidence(hits, p, draws)
    impossible = bool((p == 0).any() or (hits[p == 1] < draws).any())
    return PropensityStratum(*key, len(rows) * draws, y, z, evidence, impossible or evidence >= limit)
