"""Tables and curves: the sample size over effects and powers, and the effect over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.analysis.ab.checks import ParameterError, between, one_of, positive
from app.analysis.ab.plan.means import detectable_mean_difference, means_sample_size
from app.analysis.ab.plan.proportions import detectable_proportion_difference, proportions_sample_size
from app.analysis.ab.plan.traffic import Traffic

MAX_CELLS = 400


@dataclass(frozen=True)
class SensitivityCell:
    """Persons per arm and days for one effect and power."""

    mde: float
    power: float
    sample_size_per_variant: int
    duration_days: float


@dataclass(frozen=True)
class CurvePoint:
    """The effect that is detectable after so many days; None while no effect is."""

    days: int
    sample_size_per_variant: int
    detectable_effect: float | None


@dataclass(frozen=True)
class Sensitivity:
    """A metric to plan for: a binary one by ``baseline`` (a share), others by ``sd``.

    Effects are relative percent for a binary metric, absolute for others.

    >>> plan = Sensitivity("binary", Traffic(1000, 1.0, (1, 1)), baseline=0.1)
    >>> plan.table([5.0], [0.8])
    (SensitivityCell(mde=5.0, power=0.8, sample_size_per_variant=57763, duration_days=116.0),)
    """

    metric_type: str
    traffic: Traffic
    baseline: float | None = None
    sd: float | None = None
    alpha: float = 0.05

    def __post_init__(self) -> None:
        one_of("metric_type", self.metric_type, ("binary", "continuous", "ratio"))
        between("alpha", self.alpha)
        if self.metric_type == "binary":
            if self.baseline is None:
                raise ParameterError("baseline", "given for a binary metric", None)
            between("baseline", self.baseline)
        elif self.sd is None:
            raise ParameterError("std_dev", f"given for a {self.metric_type} metric", None)
        else:
            positive("std_dev", self.sd)

    @property
    def mde_unit(self) -> str:
        """What effects are measured in."""
        return "relative_percent" if self.metric_type == "binary" else "absolute"

    def table(self, mdes: Sequence[float], powers: Sequence[float]) -> tuple[SensitivityCell, ...]:
        """One cell for each pair, effects in the outer loop; at most 400 cells."""
        if not 0 < len(mdes) * len(powers) <= MAX_CELLS:
            raise ParameterError("mde_values", f"so many that the table has 1 to {MAX_CELLS} cells", len(mdes))
        return tuple(self._cell(mde, power) for mde in mdes for power in powers)

    def curve(self, days: Sequence[int], power: float = 0.8) -> tuple[CurvePoint, ...]:
        """The absolute effect that the smallest arm detects after each number of days."""
        return tuple(self._point(day, power) for day in days)

    def _cell(self, mde: float, power: float) -> SensitivityCell:
        arms = len(self.traffic.split)
        if self.metric_type == "binary":
            assert self.baseline is not None
            if self.baseline * (1.0 + mde / 100.0) >= 1.0:
                raise ParameterError("mde_values", f"small enough to keep the rate {self.baseline:g} below 1", mde)
            n = proportions_sample_size(self.baseline, mde, self.alpha, power, arms).per_variant
        else:
            assert self.sd is not None
            n = means_sample_size(self.sd, mde, self.alpha, power, arms).per_variant
        return SensitivityCell(mde, power, n, float(self.traffic.days(n)))

    def _point(self, days: int, power: float) -> CurvePoint:
        n, arms = min(self.traffic.exposures(days)), len(self.traffic.split)
        effect: float | None = None
        if n and self.metric_type == "binary":
            assert self.baseline is not None
            effect = detectable_proportion_difference(self.baseline, n, self.alpha, power, arms)
        elif n:
            assert self.sd is not None
            effect = detectable_mean_difference(self.sd, n, self.alpha, power, arms)
        return CurvePoint(days, n, effect)
