"""The power that the observed effect would have had: another way to write the p-value."""

from __future__ import annotations

from app.analysis.ab.normal import cdf, t_cdf, t_upper, upper


def power_of_z(z: float, alpha: float) -> float:
    """Φ(|z|-z_c)+Φ(-z_c-|z|), with z_c = z_{1-α/2}.

    Source: Hoenig, Heisey (2001), The Abuse of Power, American Statistician 55:19, who tell why to use it nowhere.

    >>> round(power_of_z(1.959963985, 0.05), 3)  # p = α gives about one half
    0.5
    """
    critical = upper(alpha / 2.0)
    return cdf(abs(z) - critical) + cdf(-critical - abs(z))


def power_of_t(t: float, df: float, alpha: float) -> float:
    """The same with Student's t."""
    critical = t_upper(alpha / 2.0, df)
    return t_cdf(abs(t) - critical, df) + t_cdf(-critical - abs(t), df)


def power_of_p(p: float, alpha: float) -> float:
    """The same from a two-sided p of any test."""
    return power_of_z(upper(p / 2.0), alpha)
