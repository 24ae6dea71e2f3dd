"""Persons per arm to compare two means (or ratios), and the effect that a given number detects."""

from __future__ import annotations

from math import sqrt

from app.analysis.ab.checks import positive
from app.analysis.ab.plan.sample_size import SampleSize, quantiles


def means_sample_size(
    sd: float, difference: float, alpha: float = 0.05, power: float = 0.8, arms: int = 2
) -> SampleSize:
    """Persons per arm to detect an absolute ``difference`` of means: n = 2((z_{1-α'/2}+z_power)σ/δ)².

    For a ratio, ``sd`` is that of (Y - R·X)/x̄, see :attr:`app.analysis.ab.statistic.RatioMean.sd`.
    Source: Fleiss (1986), The Design and Analysis of Clinical Experiments, chapter 13.

    >>> means_sample_size(20.0, 2.0).per_variant
    1570
    """
    z_alpha, z_power = quantiles(alpha, power, arms)
    return SampleSize.of(2.0 * ((z_alpha + z_power) * positive("sd", sd) / positive("difference", difference)) ** 2)


def detectable_mean_difference(sd: float, n: float, alpha: float = 0.05, power: float = 0.8, arms: int = 2) -> float:
    """The smallest absolute difference that ``n`` persons per arm detect: (z_{1-α'/2}+z_power)σ√(2/n).

    >>> round(detectable_mean_difference(20.0, 1570), 9)
    1.999857286
    """
    return sum(quantiles(alpha, power, arms)) * positive("sd", sd) * sqrt(2.0 / positive("n", n))
