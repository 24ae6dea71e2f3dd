"""Wilson's interval of one proportion."""

from __future__ import annotations

from math import sqrt

from app.analysis.ab.checks import between
from app.analysis.ab.interval import Interval
from app.analysis.ab.normal import upper
from app.analysis.ab.statistic import Proportion


def wilson(proportion: Proportion, alpha: float = 0.05) -> Interval:
    """The proportions that the score test doesn't reject at level ``alpha``.

    (p + z²/2n ± z√(p(1-p)/n + z²/4n²))/(1 + z²/n). Source: Wilson (1927), JASA 22:209.

    >>> found = wilson(Proportion(0, 50))
    >>> round(found.lower, 6), round(found.upper, 6)
    (0.0, 0.071348)
    """
    z = upper(between("alpha", alpha) / 2.0)
    p, n = proportion.estimate, proportion.n
    centre = p + z * z / (2.0 * n)
    half = z * sqrt(p * (1.0 - p) / n + (z / (2.0 * n)) ** 2)
    scale = 1.0 + z * z / n
    lower = 0.0 if proportion.successes == 0 else (centre - half) / scale
    return Interval(lower, 1.0 if proportion.successes == n else (centre + half) / scale, 1.0 - alpha)
