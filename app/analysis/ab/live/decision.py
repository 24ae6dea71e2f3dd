"""Ship, don't ship, or keep running: rules in a fixed order, each with a code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.analysis.ab.live.evidence import ArmEvidence, Evidence

_PRACTICAL = {
    "met": "practical_threshold_met",
    "below": "below_practical_threshold_proven",
    "uncertain": "practical_threshold_uncertain",
    "unavailable": "practical_threshold_unavailable",
}


@dataclass(frozen=True)
class Blocker:
    """What keeps an experiment from being shipped whatever its primary metric says."""

    code: str
    params: dict[str, int | str | list[str]]


@dataclass(frozen=True)
class WinningArm:
    """A treatment that wins, and how it compares with the minimum worthwhile effect."""

    arm: int
    effect_relative: float | None
    p_value: float
    practical: str


@dataclass(frozen=True)
class ShipDecision:
    """``verdict`` ship, no_ship or keep_running; ``confidence`` high, medium or low; ``reasons`` are codes."""

    verdict: str
    confidence: str
    reasons: tuple[str, ...]
    blockers: tuple[Blocker, ...] = ()
    winning_arms: tuple[WinningArm, ...] = ()
    recommended_arm: int | None = None


def decide(evidence: Evidence) -> ShipDecision:
    """Apply the rules: data, sample ratio, guardrails, wins, losses, and else whether the plan is complete.

    >>> arm = ArmEvidence(1, 0.0125, 12.5, 0.0055, 0.0196, 0.0005, True, 0.9998, True)
    >>> decide(Evidence((arm,), True, False, 1.0, minimum_worthwhile_effect=0.01))  # doctest: +NORMALIZE_WHITESPACE
    ShipDecision(verdict='ship', confidence='medium',
        reasons=('significant_win', 'practical_threshold_uncertain', 'bayesian_win'), blockers=(),
        winning_arms=(WinningArm(arm=1, effect_relative=12.5, p_value=0.0005, practical='uncertain'),),
        recommended_arm=1)
    """
    if not evidence.arms:
        return ShipDecision(
            "keep_running", "low", ("insufficient_per_arm" if evidence.any_exposures else "no_exposures",)
        )
    if evidence.srm:
        return ShipDecision("no_ship", "low", ("blocked_untrustworthy",), (Blocker("srm_mismatch", {}),))
    blockers = tuple(
        Blocker("guardrail_breach", {"arm": arm.arm, "metrics": list(arm.breached)})
        for arm in evidence.arms
        if arm.breached
    )
    winners = [arm for arm in evidence.arms if evidence.wins(arm)]
    left = [arm for arm in winners if not arm.breached]
    if left:
        return _won(evidence, left, blockers)
    if winners or all(arm.breached for arm in evidence.arms):
        return ShipDecision("no_ship", "high", ("guardrail_vetoed",), blockers)
    if all(evidence.loses(arm) for arm in evidence.arms):
        return ShipDecision("no_ship", "high" if evidence.complete else "medium", ("significant_loss",), blockers)
    return _undecided(evidence, blockers)


def _won(evidence: Evidence, winners: Sequence[ArmEvidence], blockers: tuple[Blocker, ...]) -> ShipDecision:
    """Some treatment is better: is it better by enough?"""
    best = max(winners, key=lambda arm: (_rank(evidence.practical(arm)), arm.effect))
    practical = evidence.practical(best)
    shown = tuple(WinningArm(arm.arm, arm.effect_relative, arm.p_value, evidence.practical(arm)) for arm in winners)

    def decision(verdict: str, confidence: str, *reasons: str) -> ShipDecision:
        return ShipDecision(verdict, confidence, reasons, blockers, shown, best.arm if verdict == "ship" else None)

    win = ("significant_win", _PRACTICAL[practical], "bayesian_win", *_confirmation(evidence))
    if practical == "met":
        return decision("ship", "high" if evidence.complete else "medium", *win)
    if practical == "below":
        return decision("no_ship", "medium", _PRACTICAL["below"])
    if not evidence.complete:
        return decision("keep_running", "low", *win, "info_fraction_incomplete")
    if evidence.policy == "practical_v1":
        return decision("no_ship", "medium", "statistically_positive_but_below_practical_threshold")
    return decision("ship", "medium", *win)


def _rank(practical: str) -> int:
    return ("below", "unavailable", "uncertain", "met").index(practical)


def _confirmation(evidence: Evidence) -> tuple[str, ...]:
    """What makes a win stand although results were looked at before the end."""
    if evidence.n_looks > 1:
        return ("sequential_crossed",)
    return () if evidence.complete else ("anytime_valid_confirmed",)


def _undecided(evidence: Evidence, blockers: tuple[Blocker, ...]) -> ShipDecision:
    """No treatment wins, and not all lose."""
    reasons = []
    if not any(arm.is_significant for arm in evidence.arms):
        reasons.append("inconclusive_ci")
    if evidence.n_looks > 1 and not any(arm.crossed for arm in evidence.arms):
        reasons.append("sequential_not_crossed")
    if evidence.n_looks == 1 and not evidence.complete:
        reasons.append("fixed_horizon_before_planned_read")
    if evidence.complete:
        return ShipDecision("no_ship", "medium", (*reasons, "info_fraction_complete_no_effect"), blockers)
    return ShipDecision("keep_running", "low", (*reasons, "info_fraction_incomplete"), blockers)
