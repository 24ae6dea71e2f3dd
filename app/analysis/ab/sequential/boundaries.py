"""Group sequential boundaries for K equal looks (O'Brien-Fleming, Pocock) and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import sqrt
from typing import ClassVar

from scipy.optimize import brentq

from app.analysis.ab.answer import PValue, Rounded4
from app.analysis.ab.checks import ParameterError, between, one_of, whole
from app.analysis.ab.normal import ceiling, quantile, two_sided, upper
from app.analysis.ab.sequential.crossing import crossing_probabilities

SHAPES = ("obrien_fleming", "pocock")


@dataclass(frozen=True)
class Look:
    """One planned look: stop there if |z| reaches ``z_boundary``."""

    look: int
    info_fraction: Rounded4
    cumulative_alpha_spent: PValue
    incremental_alpha: PValue
    z_boundary: Rounded4
    p_boundary: PValue
    is_final: bool


@dataclass(frozen=True)
class SequentialBoundary:
    """K equally spaced looks with boundary c/√(k/K) (O'Brien-Fleming) or c (Pocock).

    The constant c makes the probability of any crossing under the null exactly α (two-sided).
    Sources: O'Brien, Fleming (1979), Biometrics 35:549; Pocock (1977), Biometrika 64:191;
    Jennison, Turnbull (2000), Group Sequential Methods, chapter 2.

    >>> boundary = SequentialBoundary(5)
    >>> round(boundary.constant, 9), round(boundary.inflation(0.8), 9)
    (2.040073175, 1.028408694)
    >>> [round(z, 3) for z in boundary.z]
    [4.562, 3.226, 2.634, 2.281, 2.04]
    """

    n_looks: int
    alpha: float = 0.05
    shape: str = "obrien_fleming"

    MAX_LOOKS: ClassVar[int] = 100

    def __post_init__(self) -> None:
        whole("n_looks", self.n_looks, 1, self.MAX_LOOKS)
        between("alpha", self.alpha)
        one_of("sequential_boundary", self.shape, SHAPES)

    @property
    def times(self) -> tuple[float, ...]:
        """The information fractions k/K."""
        return tuple(k / self.n_looks for k in range(1, self.n_looks + 1))

    @property
    def constant(self) -> float:
        """c."""
        return _constant(self.n_looks, self.alpha, self.shape)

    @property
    def z(self) -> tuple[float, ...]:
        """The boundary of |z| at each look."""
        return _bounds(self.constant, self.times, self.shape)

    @property
    def spent(self) -> tuple[float, ...]:
        """The probability, under the null, to have crossed by each look; the last is α."""
        return _spent(self)

    def inflation(self, power: float) -> float:
        """R: how many times the persons of a plan with one look keep the power, (drift_K/drift_1)²."""
        return _inflation(self, between("power", power))

    def inflated(self, n: int, power: float) -> int:
        """``n`` persons of a plan with one look, times R, rounded up."""
        return ceiling(n * self.inflation(power))

    def looks(self) -> tuple[Look, ...]:
        """The table of looks."""
        z, spent = self.z, (0.0, *self.spent)
        return tuple(
            Look(k + 1, time, spent[k + 1], spent[k + 1] - spent[k], z[k], two_sided(z[k]), k + 1 == self.n_looks)
            for k, time in enumerate(self.times)
        )


def _bounds(c: float, times: tuple[float, ...], shape: str) -> tuple[float, ...]:
    return tuple(c / sqrt(time) if shape == "obrien_fleming" else c for time in times)


@lru_cache(maxsize=256)
def _constant(looks: int, alpha: float, shape: str) -> float:
    times = tuple(k / looks for k in range(1, looks + 1))

    def excess(c: float) -> float:
        return sum(crossing_probabilities(times, _bounds(c, times, shape))) - alpha

    # One look needs z_{1-α/2}; K looks at the level α/K each (Bonferroni) are more than enough.
    low, high = upper(alpha / 2.0), upper(alpha / (2.0 * looks)) + 1e-6
    return float(brentq(excess, low - 1e-6, high, xtol=1e-13, rtol=1e-13))


@lru_cache(maxsize=256)
def _spent(boundary: SequentialBoundary) -> tuple[float, ...]:
    return tuple(accumulate(crossing_probabilities(boundary.times, boundary.z)))


@lru_cache(maxsize=256)
def _inflation(boundary: SequentialBoundary, power: float) -> float:
    with_looks = _drift(boundary.times, boundary.z, power)
    return (with_looks / _drift((1.0,), (upper(boundary.alpha / 2.0),), power)) ** 2


def _drift(times: tuple[float, ...], z: tuple[float, ...], power: float) -> float:
    """The mean of Z at time 1 with which some |z| is reached with the probability ``power``."""

    def excess(drift: float) -> float:
        return sum(crossing_probabilities(times, z, drift)) - power

    if excess(0.0) >= 0.0:
        raise ParameterError("power", "above alpha", power)
    return float(brentq(excess, 0.0, z[-1] + max(quantile(power), 0.0) + 1.0, xtol=1e-13, rtol=1e-13))
