"""Counts of a live experiment: per-person rates for Welch's test, and how far Poisson's law is off."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.ab.answer import PValue, Rounded6
from app.analysis.ab.checks import positive
from app.analysis.ab.compare.counts import poisson_p
from app.analysis.ab.statistic import EventCount, SampleMean


@dataclass(frozen=True)
class CountDiagnostics:
    """``dispersion``: variance/mean of events per person, 1 under Poisson's law; ``poisson_p_value`` assumes it."""

    dispersion_control: Rounded6 | None
    dispersion_treatment: Rounded6 | None
    poisson_p_value: PValue


def count_diagnostics(control: SampleMean, treatment: SampleMean, exposure_per_user: float = 1.0) -> CountDiagnostics:
    """From the events per person of each arm; exposure per person in any unit.

    Source: Fisher (1950), The significance of deviations from expectation in a Poisson series, Biometrics 6:17.

    >>> found = count_diagnostics(SampleMean(0.1, 0.4, 1000), SampleMean(0.13, 0.4, 1000))
    >>> round(found.dispersion_control, 6), round(found.poisson_p_value, 10)
    (1.6, 0.0556135778)
    """
    positive("exposure_per_user", exposure_per_user)
    first, second = (EventCount(round(arm.mean * arm.n), arm.n * exposure_per_user) for arm in (control, treatment))
    return CountDiagnostics(dispersion(control), dispersion(treatment), poisson_p(first, second))


def dispersion(arm: SampleMean) -> float | None:
    """Variance over mean; None without events."""
    return arm.sd**2 / arm.mean if arm.mean > 0.0 else None


def per_exposure(arm: SampleMean, exposure_per_user: float) -> SampleMean:
    """Events per person as events per unit of exposure.

    >>> per_exposure(SampleMean(5.0, 2.0, 10), 2.5)
    SampleMean(mean=2.0, sd=0.8, n=10)
    """
    positive("exposure_per_user", exposure_per_user)
    return SampleMean(arm.mean / exposure_per_user, arm.sd / exposure_per_user, arm.n)
