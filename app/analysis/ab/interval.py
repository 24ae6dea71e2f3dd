"""An interval and its level."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """From ``lower`` to ``upper``, at a confidence level such as 0.95. Ends may be infinite.

    >>> Interval(-0.2, 0.4, 0.95).excludes(0.0)
    False
    """

    lower: float
    upper: float
    level: float

    def excludes(self, value: float) -> bool:
        """Whether the value lies outside."""
        return not self.lower <= value <= self.upper


def around(centre: float, half: float, level: float) -> Interval:
    """``centre`` ± ``half``."""
    return Interval(centre - half, centre + half, level)
