"""Whether the difference of two arms stays the same over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, chdtri, ndtr

from app.analysis.arrays import Floats
from app.analysis.ridge import block_slices

BLOCKS = 10


@dataclass(frozen=True)
class Drift:
    """``q`` and its p-value: any change; ``slope`` per block, ``se`` and ``z``: a steady one, such as novelty."""

    q: float
    df: int
    p: float
    slope: float
    se: float
    z: float
    slope_p: float


def critical(df: int, level: float) -> float:
    """The ``q`` that is exceeded by chance with probability 1 - level.

    >>> round(critical(9, 0.95), 3)
    16.919
    """
    return float(chdtri(df, 1 - level))


def drift(scores: Floats, blocks: int = BLOCKS) -> Drift | None:
    """Compare the means of ``scores`` (contrasts of two arms) over consecutive blocks.

    ``Q = sum (D_b - D)^2 / se_b^2`` with weights ``1/se_b^2`` is chi-square with blocks - 1 degrees of freedom (Cochran
    1954); the slope is that of weighted least squares. Both hold at one look. None where a block has fewer than two
    rows or no variance.

    >>> found = drift(np.tile([0.0, 1.0], 50))
    >>> found.q, found.df, found.slope
    (0.0, 9, 0.0)
    """
    parts = [scores[at] for at in block_slices(len(scores), blocks)]
    if len(parts) < blocks or min(map(len, parts)) < 2:
        return None
    means = np.array([part.mean() for part in parts])
    variances = np.array([part.var(ddof=1) / len(part) for part in parts])
    if not (variances > 0).all():
        return None
    weight = 1 / variances
    centre = float((weight * means).sum() / weight.sum())
    q = float((weight * (means - centre) ** 2).sum())
    places = np.arange(blocks) - float((weight * np.arange(blocks)).sum() / weight.sum())
    spread = float((weight * places**2).sum())
    slope, se = float((weight * places * means).sum()) / spread, 1 / math.sqrt(spread)
    z = slope / se
    return Drift(q, blocks - 1, float(chdtrc(blocks - 1, q)), slope, se, z, 2 * float(ndtr(-abs(z))))
