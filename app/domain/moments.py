"""Count, mean and sum of squared deviations of numbers that come one by one or in groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, sqrt


@dataclass
class Moments:
    """Running moments: ``m2`` is the sum of the squared deviations from the mean.

    Numbers are added by Welford's recurrence, groups by that of Chan, Golub and LeVeque. A sum of squares would lose
    all digits of the variance where the mean is 1e8 standard deviations from zero or more.
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> None:
        """Add one number (Welford 1962)."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.m2 += delta * (value - self.mean)

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both groups together (Chan, Golub and LeVeque 1983).

        >>> one, other = moments_of([1.0, 2.0]), moments_of([6.0])
        >>> one + other == moments_of([1.0, 2.0, 6.0])
        True
        """
        if not self.count or not other.count:
            chosen = self if self.count else other
            return Moments(chosen.count, chosen.mean, chosen.m2)
        count, delta = self.count + other.count, other.mean - self.mean
        mean = self.mean + delta * other.count / count
        return Moments(count, mean, self.m2 + other.m2 + delta * delta * self.count * other.count / count)

    @property
    def standard_error(self) -> float | None:
        """s / sqrt(n), with s the sample's standard deviation; None if all values are equal, as s is unknown then."""
        if self.count < 2 or not self.m2 > 0 or not isfinite(self.m2):
            return None
        return sqrt(self.m2 / (self.count - 1) / self.count)


def moments_of(values: Iterable[float]) -> Moments:
    """Return the moments of some numbers."""
    moments = Moments()
    for value in values:
        moments.add(value)
    return moments
