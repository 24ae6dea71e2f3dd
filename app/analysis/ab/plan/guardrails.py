"""What a guardrail metric would show with the planned sample."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.ab.answer import Rounded3, Rounded4
from app.analysis.ab.checks import ParameterError, between, finite, one_of, positive
from app.analysis.ab.plan.means import detectable_mean_difference
from app.analysis.ab.plan.proportions import detectable_proportion_difference


@dataclass(frozen=True)
class Guardrail:
    """A metric that mustn't get worse: a binary one by its rate in percent, a continuous one by mean and sd.

    ``margin_pct`` is the harm, in percent of the baseline, that is still accepted.
    """

    name: str
    metric_type: str
    baseline_rate: float | None = None
    baseline_mean: float | None = None
    std_dev: float | None = None
    direction: str = "increase_is_bad"
    margin_pct: float | None = None

    def __post_init__(self) -> None:
        one_of("metric_type", self.metric_type, ("binary", "continuous"))
        one_of("direction", self.direction, ("increase_is_bad", "decrease_is_bad"))
        needed = ("baseline_rate",) if self.metric_type == "binary" else ("baseline_mean", "std_dev")
        for name in needed:
            if getattr(self, name) is None:
                raise ParameterError(name, f"given for a {self.metric_type} guardrail", None)
        if self.baseline_rate is not None:
            between("baseline_rate", self.baseline_rate, 0.0, 100.0)
        if self.baseline_mean is not None:
            finite("baseline_mean", self.baseline_mean)
        if self.std_dev is not None:
            positive("std_dev", self.std_dev)

    @property
    def baseline(self) -> float:
        """The rate as a share, or the mean."""
        value = self.baseline_rate if self.metric_type == "binary" else self.baseline_mean
        assert value is not None  # held by __post_init__
        return value / 100.0 if self.metric_type == "binary" else value

    @property
    def margin(self) -> float:
        """The accepted harm, in the metric's unit."""
        return abs(self.baseline) * (self.margin_pct or 0.0) / 100.0


@dataclass(frozen=True)
class GuardrailPlan:
    """The smallest change of a guardrail that the plan detects: in percentage points (binary) or absolute."""

    name: str
    metric_type: str
    baseline: float
    detectable_mde_pp: Rounded3 | None
    detectable_mde_absolute: Rounded4 | None
    note: str


def plan_guardrail(guardrail: Guardrail, n: int, alpha: float, power: float = 0.8, arms: int = 2) -> GuardrailPlan:
    """What ``n`` persons per arm detect; the baseline is answered as given, a rate in percent.

    >>> found = plan_guardrail(Guardrail("errors", "binary", baseline_rate=2.4), 146642, 0.05)
    >>> round(found.detectable_mde_pp, 3)
    0.161
    """
    if guardrail.metric_type == "binary":
        change = detectable_proportion_difference(guardrail.baseline, n, alpha, power, arms)
        points = None if change is None else 100.0 * change
        note = (
            "No rise is detectable." if points is None else f"A rise of {points:.3g} percentage points is detectable."
        )
        return GuardrailPlan(guardrail.name, "binary", 100.0 * guardrail.baseline, points, None, note)
    assert guardrail.std_dev is not None  # held by Guardrail
    absolute = detectable_mean_difference(guardrail.std_dev, n, alpha, power, arms)
    note = f"A change of {absolute:.3g} is detectable."
    return GuardrailPlan(guardrail.name, "continuous", guardrail.baseline, None, absolute, note)
