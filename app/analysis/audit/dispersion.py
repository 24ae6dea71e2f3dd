"""Whether re-executed frequencies scatter around the declared probabilities as much as chance makes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.analysis.audit.frequency import Executed


@dataclass(frozen=True)
class Dispersion:
    """The sum of squared deviations, its mean and standard deviation under the declared p, and their z."""

    x2: float
    mean: int
    sd: float | None
    z: float | None


def dispersion(rows: Sequence[Executed], draws: int) -> Dispersion:
    """``X2 = sum (K_i - M p_i)^2 / (M p_i q_i)`` over R rows: mean R, variance ``sum (2 + (1 - 6 p q)/(M p q))``.

    It sees errors that cancel out within a stratum. Rows with p of 0 or 1 are left out. It describes: no alarm.

    >>> found = dispersion([Executed(1, "a", 0.5, 10), Executed(1, "a", 0.5, 12)], 20)
    >>> found.x2, found.mean, round(found.sd, 6)
    (0.8, 2, 1.949359)
    """
    p = np.array([row.p for row in rows])
    inside = (p > 0) & (p < 1)
    p, hits = p[inside], np.array([row.hits for row in rows], dtype=float)[inside]
    spread = draws * p * (1 - p)
    x2 = float(((hits - draws * p) ** 2 / spread).sum())
    sd = math.sqrt(float((2 + (1 - 6 * p * (1 - p)) / spread).sum()))
    return Dispersion(x2, len(p), sd or None, (x2 - len(p)) / sd if sd else None)
