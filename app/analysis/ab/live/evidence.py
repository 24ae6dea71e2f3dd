"""What a decision is made from: one summary per treatment, and what all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.analysis.ab.checks import one_of, within
from app.analysis.ab.live.comparison import LiveComparison
from app.analysis.ab.live.design import POLICIES
from app.analysis.ab.live.look import TakenLook

WIN_PROBABILITY = 0.95  # the posterior probability that a win needs
NEARLY_COMPLETE = 0.95  # a plan with one look counts as complete from this information on


@dataclass(frozen=True)
class ArmEvidence:
    """A treatment: effect and interval turned so that above 0 is good, whatever the metric's direction.

    ``crossed``: 1 if a look crossed its boundary the good way, -1 if the bad way, 0 if none did. ``breached`` names the
    guardrails that it breaches.
    """

    arm: int
    effect: float
    effect_relative: float | None
    lower: float
    upper: float
    p_value: float
    is_significant: bool
    probability_better: float
    always_valid_significant: bool
    crossed: int = 0
    breached: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        arm: int,
        comparison: LiveComparison,
        direction: str = "increase",
        looks: Sequence[TakenLook] = (),
        breached: Sequence[str] = (),
    ) -> ArmEvidence | None:
        """From what live statistics show; None without enough data."""
        analysis, valid = comparison.analysis, comparison.always_valid
        probability = comparison.probability_treatment_beats_control
        if analysis is None or valid is None or probability is None:
            return None
        up = one_of("direction", direction, ("increase", "decrease")) == "increase"
        sign, relative = (1 if up else -1), analysis.observed_effect_relative
        ends = sorted([sign * analysis.ci_lower, sign * analysis.ci_upper])
        return cls(
            arm=arm,
            effect=sign * analysis.observed_effect,
            effect_relative=relative,
            lower=ends[0],
            upper=ends[1],
            p_value=analysis.p_value,
            is_significant=analysis.is_significant,
            probability_better=probability if up else 1.0 - probability,
            always_valid_significant=valid.is_significant,
            crossed=sign * _first_crossing(arm, looks),
            breached=tuple(breached),
        )


@dataclass(frozen=True)
class Evidence:
    """Everything that a decision takes into account.

    ``srm``, a mismatch of the sample ratio, comes before every other rule. Where counts are watched, it should be the
    verdict of the always-valid p. ``minimum_worthwhile_effect`` is absolute; None if none was planned.
    """

    arms: tuple[ArmEvidence, ...]
    any_exposures: bool
    srm: bool
    information: float
    n_looks: int = 1
    minimum_worthwhile_effect: float | None = None
    policy: str = "practical_v2"

    def __post_init__(self) -> None:
        one_of("decision_policy", self.policy, POLICIES)
        within("information_fraction", self.information, 0.0, float("1e300"))

    @property
    def complete(self) -> bool:
        """Whether the planned information is there."""
        return self.information >= (1.0 if self.n_looks > 1 else NEARLY_COMPLETE)

    def confirmed(self, arm: ArmEvidence, way: int) -> bool:
        """Whether a significant effect of that sign stands although results were looked at before the end."""
        if self.n_looks > 1:
            return arm.crossed == way
        return self.information >= NEARLY_COMPLETE or arm.always_valid_significant

    def wins(self, arm: ArmEvidence) -> bool:
        """Whether a treatment is better, beyond doubt."""
        good = arm.is_significant and arm.effect > 0.0 and arm.probability_better >= WIN_PROBABILITY
        return good and self.confirmed(arm, 1)

    def loses(self, arm: ArmEvidence) -> bool:
        """Whether a treatment is worse, beyond doubt."""
        return arm.is_significant and arm.effect < 0.0 and self.confirmed(arm, -1)

    def practical(self, arm: ArmEvidence) -> str:
        """How a win compares with the minimum worthwhile effect: met, below, uncertain or unavailable."""
        least = self.minimum_worthwhile_effect
        if least is None:
            return "unavailable"
        return "met" if arm.lower >= least else "below" if arm.upper < least else "uncertain"


def _first_crossing(arm: int, looks: Sequence[TakenLook]) -> int:
    return next((sign for look in looks if (sign := look.crossing(arm))), 0)
