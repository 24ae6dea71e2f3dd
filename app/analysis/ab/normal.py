"""The normal distribution and Student's t on plain floats, and rounding up that ignores floating-point noise."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri, stdtr, stdtrit


def cdf(x: float) -> float:
    """Φ(x)."""
    return float(ndtr(x))


def quantile(q: float) -> float:
    """z_q = Φ⁻¹(q).

    >>> round(quantile(0.975), 6)
    1.959964
    """
    return float(ndtri(q))


def upper(q: float) -> float:
    """z_{1-q}, also right where 1 - q is 1 in floating point."""
    return -float(ndtri(q))


def density(x: float) -> float:
    """φ(x)."""
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def two_sided(z: float) -> float:
    """P(|Z| >= |z|)."""
    return 2.0 * float(ndtr(-abs(z)))


def t_cdf(x: float, df: float) -> float:
    """Distribution function of Student's t."""
    return float(stdtr(df, x))


def t_upper(q: float, df: float) -> float:
    """Quantile 1 - q of Student's t."""
    return -float(stdtrit(df, q))


def ceiling(x: float) -> int:
    """⌈x⌉, where a whole number that is off by rounding errors counts as that number.

    >>> 550 * (1 + 24 * 0.1), ceiling(550 * (1 + 24 * 0.1))
    (1870.0000000000002, 1870)
    """
    return math.ceil(x * (1.0 - 1e-12))
