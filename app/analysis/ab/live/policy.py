"""The rules that a decision followed, for whoever reads it later."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.ab.live.design import LiveDesign

_RULES = {
    "practical_v2": "A win ships unless its interval lies below the minimum worthwhile effect.",
    "practical_v1": "A win ships only if its interval lies above the minimum worthwhile effect.",
}
FIELDS = (
    "is_significant", "probability_treatment_beats_control", "ci_lower", "ci_upper", "always_valid", "looks",
    "information_fraction", "srm", "guardrail",
)  # fmt: skip


@dataclass(frozen=True)
class DecisionPolicy:
    """Version and rule, and the minimum worthwhile effect: absolute, and in percent of the baseline."""

    version: str
    require_practical_evidence: bool
    practical_rule: str
    mwe_scale: str
    minimum_worthwhile_effect: float
    minimum_worthwhile_effect_relative_pct: float
    mwe_source: str
    metric_type: str
    baseline_value: float
    planned_power: float
    evidence_fields: tuple[str, ...] = FIELDS


def policy_of(design: LiveDesign) -> DecisionPolicy:
    """The policy of a design. ``practical_v1`` demands practical evidence, ``practical_v2`` that it isn't disproved.

    Shipping only on a lower limit above the planned effect ships 2.5 % of the time if the effect is as planned.
    """
    request = design.request
    return DecisionPolicy(
        version=design.policy,
        require_practical_evidence=design.policy == "practical_v1",
        practical_rule=_RULES[design.policy],
        mwe_scale="absolute",
        minimum_worthwhile_effect=design.minimum_worthwhile_effect,
        minimum_worthwhile_effect_relative_pct=request.mde_pct,
        mwe_source="planned_mde",
        metric_type=request.metric_type,
        baseline_value=request.baseline_value,
        planned_power=request.power,
    )
