"""Persons per arm to compare two proportions by the pooled z test, and the effect that a given number detects."""

from __future__ import annotations

from math import sqrt

from scipy.optimize import brentq

from app.analysis.ab.checks import ParameterError, between, positive
from app.analysis.ab.plan.sample_size import SampleSize, quantiles


def proportions_sample_size(
    baseline: float, mde_pct: float, alpha: float = 0.05, power: float = 0.8, arms: int = 2
) -> SampleSize:
    """Persons per arm to detect a relative rise of ``mde_pct`` percent in a proportion.

    With p₂ = p₁(1 + mde/100) and p̄ their mean,
    n = (z_{1-α'/2}√(2p̄(1-p̄)) + z_power√(p₁(1-p₁)+p₂(1-p₂)))² / (p₂-p₁)².
    Source: Fleiss, Levin, Paik (2003), Statistical Methods for Rates and Proportions, 3rd ed., section 4.2.

    Raises :class:`ParameterError` if the rate to detect isn't below 1.

    >>> proportions_sample_size(0.042, 5.0).per_variant
    146642
    """
    between("baseline", baseline)
    delta = baseline * positive("mde_pct", mde_pct) / 100.0
    if baseline + delta >= 1.0:
        raise ParameterError("mde_pct", f"small enough to keep the rate {baseline:g} below 1", mde_pct)
    return SampleSize.of(_exact(baseline, delta, *quantiles(alpha, power, arms)))


def detectable_proportion_difference(
    baseline: float, n: float, alpha: float = 0.05, power: float = 0.8, arms: int = 2
) -> float | None:
    """The smallest absolute rise that ``n`` persons per arm detect; None if no rise below 1 - baseline does.

    Solves the formula of :func:`proportions_sample_size` for p₂-p₁.

    >>> round(detectable_proportion_difference(0.1, 14751), 12)
    0.009999927458
    """
    between("baseline", baseline)
    positive("n", n)
    z = quantiles(alpha, power, arms)
    low, high = 1e-12 * (1.0 - baseline), (1.0 - baseline) * (1.0 - 1e-12)
    if _exact(baseline, high, *z) > n or _exact(baseline, low, *z) < n:
        return None
    return float(brentq(lambda delta: _exact(baseline, delta, *z) / n - 1.0, low, high, xtol=1e-15, rtol=1e-13))


def _exact(p1: float, delta: float, z_alpha: float, z_power: float) -> float:
    p2 = p1 + delta
    mean = 0.5 * (p1 + p2)
    spread = z_alpha * sqrt(2.0 * mean * (1.0 - mean)) + z_power * sqrt(p1 * (1.0 - p1) + p2 * (1.0 - p2))
    return (spread / delta) ** 2
