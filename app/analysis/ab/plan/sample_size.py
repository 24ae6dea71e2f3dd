"""What plans have in common: a sample size before and after rounding, and Bonferroni's level."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.ab.checks import ParameterError, between, whole
from app.analysis.ab.normal import ceiling, quantile, upper


@dataclass(frozen=True)
class SampleSize:
    """Persons per arm: the solution of the formula, and the whole number to plan with.

    >>> SampleSize.of(1569.78)
    SampleSize(exact=1569.78, per_variant=1570)
    """

    exact: float
    per_variant: int

    @classmethod
    def of(cls, exact: float) -> SampleSize:
        """Round up; one person at least."""
        return cls(exact, max(1, ceiling(exact)))


def bonferroni(alpha: float, arms: int) -> float:
    """α' = α/(k-1): the level of each comparison with control, so that all k-1 together keep α.

    Source: Dunn (1961), Multiple comparisons among means, JASA 56:52.

    >>> bonferroni(0.05, 3)
    0.025
    """
    return between("alpha", alpha) / (whole("arms", arms, 2) - 1)


def quantiles(alpha: float, power: float, arms: int) -> tuple[float, float]:
    """z_{1-α'/2} and z_power; the power must be above α', which no effect at all has."""
    level = bonferroni(alpha, arms)
    if between("power", power) <= level:
        raise ParameterError("power", f"above {level:g}, the level of each comparison", power)
    return upper(level / 2.0), quantile(power)
