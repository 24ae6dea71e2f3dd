"""Newcombe's interval of the difference of two proportions."""

from __future__ import annotations

from math import hypot

from app.analysis.ab.compare.wilson import wilson
from app.analysis.ab.interval import Interval
from app.analysis.ab.statistic import Proportion


def newcombe(control: Proportion, treatment: Proportion, alpha: float = 0.05) -> Interval:
    """Treatment minus control, from Wilson's limits l, u of each.

    d - √((p₂-l₂)²+(u₁-p₁)²) to d + √((u₂-p₂)²+(p₁-l₁)²).
    Source: Newcombe (1998), Statistics in Medicine 17:873, method 10.

    >>> found = newcombe(Proportion(200, 2000), Proportion(250, 2000))
    >>> round(found.lower, 10), round(found.upper, 10)
    (0.0054103391, 0.0446236352)
    """
    first, second = wilson(control, alpha), wilson(treatment, alpha)
    p1, p2 = control.estimate, treatment.estimate
    below = hypot(p2 - second.lower, first.upper - p1)
    above = hypot(second.upper - p2, p1 - first.lower)
    return Interval(p2 - p1 - below, p2 - p1 + above, 1.0 - alpha)
