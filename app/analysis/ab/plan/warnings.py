"""Rules that warn of what may go wrong with a plan."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.srm import SrmTest

# Code -> severity and message; in the order in which they are shown.
RULES = {
    "LONG_DURATION": ("high", "The experiment takes over 8 weeks: persons, seasons and the product change meanwhile."),
    "MANY_VARIANTS_LOW_TRAFFIC": ("high", "Over two variants share little traffic: below 2,000 persons a day each."),
    "LONG_TEST_NOT_POSSIBLE": ("high", "The plan takes over 14 days, and a long test isn't possible."),
    "SRM_DETECTED": ("high", "The counts so far don't fit the planned split: find the cause before any result."),
    "CLUSTER_RANDOMIZATION": ("high", "Clusters are randomised: analyse by cluster, and plan with the design effect."),
    "LOW_TRAFFIC": ("medium", "Fewer than 1,000 persons a day enter the experiment."),
    "CONSERVATIVE_MULTIVARIANT_ALPHA": ("medium", "Each comparison uses the level alpha/(variants - 1) (Bonferroni)."),
    "SEASONALITY_PRESENT": ("medium", "The metric has seasons: run whole weeks."),
    "CAMPAIGN_CONTAMINATION": ("medium", "Campaigns under way may change who comes and how they behave."),
    "UNDERPOWERED_DESIGN": ("medium", "The power is below 80 %: a true effect is missed more than one time in five."),
    "INTERIM_LOOKS_INCREASE_SAMPLE": ("medium", "Looking more than once takes a somewhat larger sample."),
}


@dataclass(frozen=True)
class PlanWarning:
    """A rule that applies."""

    code: str
    severity: str
    message: str
    source: str = "rules_engine"


def plan_warnings(request: PlanRequest, days: int) -> tuple[PlanWarning, ...]:
    """The rules that apply to a plan that takes so many days."""
    traffic, several = request.traffic, request.variants_count > 2
    applies = {
        "LONG_DURATION": days > 56,
        "MANY_VARIANTS_LOW_TRAFFIC": several and traffic.allocated * min(traffic.shares) < 2000,
        "LONG_TEST_NOT_POSSIBLE": request.long_test_possible is False and days > 14,
        "SRM_DETECTED": _mismatch(request),
        "CLUSTER_RANDOMIZATION": request.randomization_unit == "cluster",
        "LOW_TRAFFIC": traffic.allocated < 1000,
        "CONSERVATIVE_MULTIVARIANT_ALPHA": several,
        "SEASONALITY_PRESENT": bool(request.seasonality_present),
        "CAMPAIGN_CONTAMINATION": bool(request.active_campaigns_present),
        "UNDERPOWERED_DESIGN": request.power < 0.8,
        "INTERIM_LOOKS_INCREASE_SAMPLE": request.n_looks > 1,
    }
    return tuple(PlanWarning(code, *rule) for code, rule in RULES.items() if applies[code])


def _mismatch(request: PlanRequest) -> bool:
    if request.actual_counts is None:
        return False
    return SrmTest(request.actual_counts, request.traffic.shares).result().is_srm
