"""Persons per arm to show that two means are equivalent, by two one-sided tests."""

from __future__ import annotations

from math import sqrt

from app.analysis.ab.checks import between, positive
from app.analysis.ab.normal import cdf, quantile, upper
from app.analysis.ab.plan.sample_size import SampleSize, bonferroni


def equivalence_sample_size(
    sd: float, margin: float, alpha: float = 0.05, power: float = 0.8, arms: int = 2
) -> SampleSize:
    """The smallest n with 2Φ(M/(σ√(2/n)) - z_{1-α'}) - 1 >= power, where the true difference is 0.

    ``margin`` M is absolute, in the unit of ``sd``.
    Source: Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15:657.

    >>> equivalence_sample_size(0.1, 0.05).per_variant
    69
    """
    z = upper(bonferroni(alpha, arms)) + quantile(0.5 + 0.5 * between("power", power))
    return SampleSize.of(2.0 * (positive("sd", sd) * z / positive("margin", margin)) ** 2)


def equivalence_power(sd: float, margin: float, n: int, alpha: float = 0.05) -> float:
    """The probability to show equivalence with ``n`` persons per arm, where the true difference is 0.

    >>> round(equivalence_power(0.1, 0.05, 69), 10)
    0.8036364154
    """
    reach = positive("margin", margin) / (positive("sd", sd) * sqrt(2.0 / positive("n", n)))
    return max(0.0, 2.0 * cdf(reach - upper(between("alpha", alpha))) - 1.0)
