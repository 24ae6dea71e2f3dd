"""What is known of one arm: immutable summaries that tests compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.analysis.ab.checks import ParameterError, finite, not_negative, positive, whole

Floats = NDArray[np.float64]


class Statistic(Protocol):
    """An estimate with the variance of its error: what tests of a difference need."""

    @property
    def estimate(self) -> float:
        """The mean, rate or ratio."""

    @property
    def error_variance(self) -> float:
        """The estimated variance of ``estimate``."""


@dataclass(frozen=True)
class Proportion:
    """``successes`` of ``n`` persons converted.

    >>> Proportion(200, 2000).estimate
    0.1
    """

    successes: int
    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n, 1))
        object.__setattr__(self, "successes", whole("successes", self.successes, 0))
        if self.successes > self.n:
            raise ParameterError("successes", f"at most n, {self.n}", self.successes)

    @property
    def estimate(self) -> float:
        """The share that converted."""
        return self.successes / self.n

    @property
    def error_variance(self) -> float:
        """p(1-p)/n, without pooling."""
        return self.estimate * (1.0 - self.estimate) / self.n


@dataclass(frozen=True)
class SampleMean:
    """A mean over ``n`` persons and the standard deviation (divisor n-1) between them.

    >>> SampleMean(100.0, 15.0, 500).error_variance
    0.45
    """

    mean: float
    sd: float
    n: int

    def __post_init__(self) -> None:
        finite("mean", self.mean)
        not_negative("sd", self.sd)
        object.__setattr__(self, "n", whole("n", self.n, 2))

    @classmethod
    def of(cls, values: Sequence[float]) -> SampleMean:
        """The summary of a sample."""
        array = sample("values", values)
        return cls(float(array.mean()), float(array.std(ddof=1)), len(array))

    @classmethod
    def from_sums(cls, n: int, total: float, squares: float, about: float = 0.0) -> SampleMean:
        """From the sums of y - ``about`` and of its square; ``about`` near the mean keeps the digits of the variance.

        >>> SampleMean.from_sums(4, 2.0, 6.0, about=1e9)
        SampleMean(mean=1000000000.5, sd=1.2909944487358056, n=4)
        """
        whole("n", n, 2)
        return cls(about + total / n, math.sqrt(max(0.0, squares - total * total / n) / (n - 1)), n)

    @property
    def estimate(self) -> float:
        """The mean."""
        return self.mean

    @property
    def error_variance(self) -> float:
        """s²/n."""
        return self.sd * self.sd / self.n


@dataclass(frozen=True)
class EventCount:
    """``events`` that happened over an ``exposure``, such as person-days.

    >>> EventCount(130, 1000.0).estimate
    0.13
    """

    events: int
    exposure: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", whole("events", self.events, 0))
        positive("exposure", self.exposure)

    @property
    def estimate(self) -> float:
        """Events per unit of exposure."""
        return self.events / self.exposure

    @property
    def error_variance(self) -> float:
        """The variance of a Poisson rate, events/exposure²."""
        return self.events / self.exposure**2


@dataclass(frozen=True)
class RatioMean:
    """Mean numerator over mean denominator of ``n`` persons; variances and covariance have the divisor n-1.

    The variance follows from the delta method: (s_y² - 2R·s_xy + R²s_x²)/(n·x̄²).
    Source: Deng, Knoblich, Lu (2018), Applying the Delta Method in Metric Analytics, KDD.

    >>> round(RatioMean.of([1, 2, 1, 3, 0, 2], [10, 12, 8, 20, 5, 14]).estimate, 10)
    0.1304347826
    """

    numerator: float
    denominator: float
    numerator_variance: float
    denominator_variance: float
    covariance: float
    n: int

    def __post_init__(self) -> None:
        finite("numerator", self.numerator)
        not_negative("numerator_variance", self.numerator_variance)
        not_negative("denominator_variance", self.denominator_variance)
        whole("n", self.n, 2)
        if finite("denominator", self.denominator) == 0:
            raise ParameterError("denominator", "a mean other than 0", self.denominator)

    @classmethod
    def of(cls, numerators: Sequence[float], denominators: Sequence[float]) -> RatioMean:
        """The summary of pairs, one per person."""
        y, x = sample("numerators", numerators), sample("denominators", denominators)
        if len(y) != len(x):
            raise ParameterError("denominators", f"{len(y)} values, one for each numerator", len(x))
        (s_yy, s_xy), (_, s_xx) = np.cov(y, x).tolist()
        return cls(float(y.mean()), float(x.mean()), s_yy, s_xx, s_xy, len(y))

    @classmethod
    def from_sums(cls, n: int, y: float, x: float, yy: float, xx: float, xy: float) -> RatioMean:
        """From the sums of y, x, y², x² and xy.

        >>> round(RatioMean.from_sums(6, 9, 69, 19, 929, 126).estimate, 10)
        0.1304347826
        """
        whole("n", n, 2)
        s_yy, s_xx = (max(0.0, (square - total * total / n) / (n - 1)) for square, total in ((yy, y), (xx, x)))
        return cls(y / n, x / n, s_yy, s_xx, (xy - x * y / n) / (n - 1), n)

    @property
    def estimate(self) -> float:
        """R = ȳ/x̄."""
        return self.numerator / self.denominator

    @property
    def error_variance(self) -> float:
        """The delta method's variance of R."""
        ratio = self.estimate
        spread = self.numerator_variance - 2.0 * ratio * self.covariance + ratio * ratio * self.denominator_variance
        return max(spread, 0.0) / (self.n * self.denominator**2)

    @property
    def sd(self) -> float:
        """Standard deviation of (Y - R·X)/x̄ between persons: what a plan for a ratio needs."""
        return math.sqrt(self.error_variance * self.n)


def values(name: str, given: Sequence[float]) -> tuple[float, ...]:
    """The values as an immutable tuple of floats; raises unless there are 2 or more finite ones."""
    return tuple(sample(name, given).tolist())


def sample(name: str, values: Sequence[float], least: int = 2) -> Floats:
    """The values as an array; raises unless there are ``least`` finite ones."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < least or not np.isfinite(array).all():
        raise ParameterError(name, f"a list of {least} or more finite numbers", values)
    return array
