"""What a test of treatment against control found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, ClassVar

from app.analysis.ab.answer import PValue, Rounded2, Rounded3, Rounded4
from app.analysis.ab.compare.words import interpretation, verdict

_SCALED = (
    "observed_effect", "control_rate", "treatment_rate", "ci_lower", "ci_upper", "detectable_effect",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """Effect (treatment minus control), interval, p-value and decision of one test.

    ``observed_effect_relative`` is in percent of control, None where control is 0. ``power_achieved`` only restates p
    (Hoenig, Heisey 2001, American Statistician 55:19). ``ci_disagrees`` tells that the interval's verdict differs from
    the test's. Rates are proportions until :meth:`reported`.
    """

    metric_type: str
    observed_effect: Rounded4
    observed_effect_relative: Rounded2 | None
    control_rate: Rounded4 | None = None
    treatment_rate: Rounded4 | None = None
    ci_lower: Rounded4
    ci_upper: Rounded4
    ci_level: Rounded4
    p_value: PValue
    test_statistic: Rounded4
    is_significant: bool
    power_achieved: Rounded3
    verdict_code: str
    effect_size: Rounded4 | None = None
    effect_size_label: str | None = None
    effect_size_ci_lower: Rounded4 | None = None
    effect_size_ci_upper: Rounded4 | None = None
    unit: str = "absolute"
    ci_method: str
    ci_disagrees: bool
    detectable_effect: Rounded4 | None = None

    also: ClassVar[tuple[str, ...]] = ("verdict", "interpretation")

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        return verdict(self.verdict_code)

    @property
    def interpretation(self) -> str:
        """The result in sentences."""
        return interpretation(self)

    @property
    def decimals(self) -> Mapping[str, int]:
        """Rates of events per exposure are small, and shown with six decimals."""
        return dict.fromkeys(_SCALED, 6) if self.metric_type == "count" else {}

    def reported(self) -> ComparisonResult:
        """The same in percentage points, if it is about proportions."""
        if self.unit != "proportion":
            return self
        values = {name: getattr(self, name) for name in _SCALED}
        scaled: dict[str, Any] = {name: None if value is None else 100.0 * value for name, value in values.items()}
        return replace(self, unit="percentage_points", **scaled)


def relative_pct(effect: float, control: float) -> float | None:
    """The effect in percent of control; None if control is 0 or the quotient overflows."""
    found = 100.0 * effect / abs(control) if control else None
    return found if found is not None and isfinite(found) else None


def verdict_of(effect: float, significant: bool) -> str:
    """Which way a two-sided test decided."""
    if not significant or effect == 0.0:
        return "no_difference"
    return "uplift" if effect > 0.0 else "decline"
