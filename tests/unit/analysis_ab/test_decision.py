"""Ship, don't ship, keep running: each rule, and the order among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.analysis.ab.answer import to_answer
from app.analysis.ab.checks import ParameterError
from app.analysis.ab.live.comparison import always_valid, compare_live
from app.analysis.ab.live.counts import count_diagnostics, per_exposure
from app.analysis.ab.live.decision import ShipDecision, decide
from app.analysis.ab.live.design import LiveDesign
from app.analysis.ab.live.evidence import ArmEvidence, Evidence
from app.analysis.ab.live.guardrail import GuardrailTest
from app.analysis.ab.live.look import TakenLook, take_look
from app.analysis.ab.live.policy import policy_of
from app.analysis.ab.live.strata import StratifiedTest, Stratum
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.statistic import Proportion, RatioMean, SampleMean

WIN = ArmEvidence(1, 0.015, 15.0, 0.005, 0.025, 0.002, True, 0.999, True, crossed=1)
LOSS = ArmEvidence(1, -0.015, -15.0, -0.025, -0.005, 0.002, True, 0.001, True, crossed=-1)
FLAT = ArmEvidence(1, 0.001, 1.0, -0.009, 0.011, 0.8, False, 0.6, False)


def decided(*arms: ArmEvidence, **changes: Any) -> ShipDecision:
    """One look, complete, with a minimum worthwhile effect of 0.01, unless changed."""
    given: dict[str, Any] = {
        "any_exposures": True,
        "srm": False,
        "information": 1.0,
        "n_looks": 1,
        "minimum_worthwhile_effect": 0.01,
    }
    return decide(Evidence(arms, **(given | changes)))


def test_without_data_it_waits() -> None:
    assert decided(any_exposures=False) == ShipDecision("keep_running", "low", ("no_exposures",))
    assert decided() == ShipDecision("keep_running", "low", ("insufficient_per_arm",))


def test_a_mismatch_blocks_whatever_else_there_is() -> None:
    found = decided(WIN, srm=True)
    assert (found.verdict, found.confidence, found.reasons) == ("no_ship", "low", ("blocked_untrustworthy",))
    assert [blocker.code for blocker in found.blockers] == ["srm_mismatch"]


def test_a_breach_vetoes_its_arm_and_no_other() -> None:
    breached = replace(WIN, breached=("errors",))
    found = decided(breached)
    assert (found.verdict, found.confidence, found.reasons) == ("no_ship", "high", ("guardrail_vetoed",))
    assert found.blockers[0].params == {"arm": 1, "metrics": ["errors"]}
    other = decided(breached, replace(WIN, arm=2))
    assert (other.verdict, other.recommended_arm) == ("ship", 2)
    assert [blocker.code for blocker in other.blockers] == ["guardrail_breach"]
    assert decided(replace(FLAT, breached=("errors",))).reasons == ("guardrail_vetoed",)
    undecided = decided(replace(FLAT, breached=("errors",)), replace(FLAT, arm=2), information=0.5)
    assert (undecided.verdict, len(undecided.blockers)) == ("keep_running", 1)


@pytest.mark.parametrize(
    ("lower", "upper", "information", "verdict", "confidence", "reason"),
    [
        (0.01, 0.03, 1.0, "ship", "high", "practical_threshold_met"),
        (0.012, 0.03, 0.5, "ship", "medium", "practical_threshold_met"),
        (0.002, 0.009, 1.0, "no_ship", "medium", "below_practical_threshold_proven"),
        (0.002, 0.009, 0.5, "no_ship", "medium", "below_practical_threshold_proven"),
        (0.002, 0.03, 0.95, "ship", "medium", "practical_threshold_uncertain"),
        (0.002, 0.03, 0.5, "keep_running", "low", "practical_threshold_uncertain"),
    ],
)
def test_a_win_is_held_against_the_worthwhile_effect(
    lower: float, upper: float, information: float, verdict: str, confidence: str, reason: str
) -> None:
    found = decided(replace(WIN, lower=lower, upper=upper), information=information)
    assert (found.verdict, found.confidence) == (verdict, confidence)
    assert reason in found.reasons
    assert ("info_fraction_incomplete" in found.reasons) == (verdict == "keep_running")
    assert found.recommended_arm == (1 if verdict == "ship" else None)
    if verdict != "no_ship":
        assert ("anytime_valid_confirmed" in found.reasons) == (information < 0.95)


def test_without_a_worthwhile_effect_a_win_ships_when_complete() -> None:
    found = decided(WIN, minimum_worthwhile_effect=None)
    assert (found.verdict, found.confidence) == ("ship", "medium")
    assert "practical_threshold_unavailable" in found.reasons


def test_the_first_policy_needs_the_whole_interval() -> None:
    first = decided(WIN, policy="practical_v1")
    assert first.reasons == ("statistically_positive_but_below_practical_threshold",)
    assert decided(replace(WIN, lower=0.011), policy="practical_v1").verdict == "ship"
    assert decided(WIN, policy="practical_v1", information=0.5).verdict == "keep_running"


def test_with_looks_only_a_crossing_confirms() -> None:
    found = decided(WIN, n_looks=4, information=0.6)
    assert found.reasons[-2:] == ("sequential_crossed", "info_fraction_incomplete")
    waiting = decided(replace(WIN, crossed=0), n_looks=4, information=0.6)
    assert waiting.reasons == ("sequential_not_crossed", "info_fraction_incomplete")
    assert decided(replace(WIN, crossed=-1), n_looks=4, information=0.6).verdict == "keep_running"
    assert decided(WIN, n_looks=4, information=0.96).verdict == "keep_running"  # complete at 1 only
    done = decided(replace(WIN, crossed=0), n_looks=4, information=1.2)
    assert done.reasons == ("sequential_not_crossed", "info_fraction_complete_no_effect")


def test_before_the_read_only_an_always_valid_p_confirms() -> None:
    assert decided(WIN, information=0.3).verdict == "keep_running"  # confirmed, but worth too little so far
    assert "significant_win" in decided(WIN, information=0.3).reasons
    early = decided(replace(WIN, always_valid_significant=False), information=0.3)
    assert early.reasons == ("fixed_horizon_before_planned_read", "info_fraction_incomplete")


def test_a_win_needs_the_posterior_as_well() -> None:
    assert decided(replace(WIN, probability_better=0.94)).verdict == "no_ship"


def test_all_must_lose_to_lose() -> None:
    lost = decided(LOSS, replace(LOSS, arm=2))
    assert (lost.verdict, lost.reasons) == ("no_ship", ("significant_loss",))
    assert decided(LOSS, replace(FLAT, arm=2), information=0.5).verdict == "keep_running"
    assert decided(replace(LOSS, always_valid_significant=False), information=0.5).verdict == "keep_running"


def test_no_effect_ends_a_complete_plan() -> None:
    found = decided(FLAT)
    assert (found.verdict, found.confidence) == ("no_ship", "medium")
    assert found.reasons == ("inconclusive_ci", "info_fraction_complete_no_effect")
    early = decided(FLAT, information=0.5)
    assert early.reasons == ("inconclusive_ci", "fixed_horizon_before_planned_read", "info_fraction_incomplete")


def test_the_best_of_several_winners_is_recommended() -> None:
    met = replace(WIN, arm=2, lower=0.011, effect=0.012)
    larger = replace(WIN, arm=3, effect=0.02)
    found = decided(WIN, met, larger)
    assert found.recommended_arm == 2
    assert [(arm.arm, arm.practical) for arm in found.winning_arms] == [(1, "uncertain"), (2, "met"), (3, "uncertain")]
    assert decided(WIN, larger).recommended_arm == 3


# From sums to evidence -----------------------------------------------------------------------------------------------


def design(**changes: Any) -> LiveDesign:
    given: dict[str, Any] = {
        "metric_type": "binary",
        "baseline_value": 0.1,
        "mde_pct": 10,
        "expected_daily_traffic": 1000,
        "audience_share_in_test": 1.0,
        "traffic_split": (50, 50),
        "variants_count": 2,
    }
    return LiveDesign(PlanRequest(**(given | changes)))


def test_where_less_is_better_a_fall_wins() -> None:
    control, treatment = Proportion(1660, 14751), Proportion(1475, 14751)
    comparison = compare_live(design(), control, treatment)
    fall = ArmEvidence.of(1, comparison, "decrease")
    rise = ArmEvidence.of(1, compare_live(design(), treatment, control), "increase")
    assert fall is not None
    assert rise is not None
    assert (fall.effect, fall.lower, fall.upper) == pytest.approx((rise.effect, rise.lower, rise.upper))
    assert fall.probability_better == pytest.approx(rise.probability_better)
    assert decided(fall).verdict == decided(rise).verdict == "ship"
    worse = ArmEvidence.of(1, comparison, "increase")
    assert worse is not None
    assert decided(worse).reasons == ("significant_loss",)


def test_a_crossing_is_turned_with_the_direction() -> None:
    comparison = compare_live(design(), Proportion(1660, 14751), Proportion(1475, 14751))
    looks = [TakenLook(1, 0.2, 4.5, (1.0,)), TakenLook(2, 0.4, 3.2, (-3.3,))]
    found = ArmEvidence.of(1, comparison, "decrease", looks)
    assert found is not None
    assert found.crossed == 1
    assert [look.crossing(1) for look in looks] == [0, -1]


def test_too_little_data_is_told() -> None:
    for arms in (
        (None, Proportion(1, 5)),
        (Proportion(0, 5), Proportion(0, 5)),
        (Proportion(0, 1), Proportion(1, 5)),
        (SampleMean(1, 0, 5), SampleMean(1, 0, 5)),
    ):
        found = compare_live(design(), *arms)
        assert (found.status, found.analysis, found.z) == ("insufficient_data", None, 0.0)
        assert ArmEvidence.of(1, found) is None
    assert always_valid(design(), 0.0, 0.0).status == "not_evaluable"


def test_each_kind_of_metric_has_its_test() -> None:
    means = design(metric_type="continuous", baseline_value=10.0, std_dev=3.0)
    found = compare_live(means, SampleMean(10, 3, 500), SampleMean(10.5, 3, 500))
    assert found.analysis is not None
    assert found.analysis.ci_method == "welch"
    ratios = design(metric_type="ratio", baseline_value=0.1, std_dev=0.3)
    arms = RatioMean.of([1, 2, 1, 3, 0, 2], [10, 12, 8, 20, 5, 14]), RatioMean.of([2, 1, 3, 4, 1], [11, 9, 15, 18, 7])
    found = compare_live(ratios, *arms)
    assert found.analysis is not None
    assert found.analysis.ci_method == "delta"
    with pytest.raises(ParameterError, match=r"^treatment must be a Proportion like control"):
        compare_live(design(), Proportion(1, 5), SampleMean(1, 1, 5))


def test_the_z_of_a_look_is_finite_and_has_the_sign_of_the_effect() -> None:
    means = design(metric_type="continuous", baseline_value=10.0, std_dev=3.0)
    certain = compare_live(means, SampleMean(10, 1e-6, 5000), SampleMean(9, 1e-6, 5000))
    assert -40 < certain.z < -37
    found = compare_live(means, SampleMean(10, 3, 50_000), SampleMean(10.05, 3, 50_000))
    assert found.analysis is not None
    assert found.z == pytest.approx(found.analysis.test_statistic, rel=1e-4)  # t of so many is z
    far = compare_live(design(), Proportion(1000, 100_000), Proportion(50_000, 100_000))
    assert far.analysis is not None
    assert far.z == far.analysis.test_statistic > 200


def test_counts_of_few_heavy_users_are_not_poisson() -> None:
    control, treatment = SampleMean(2.0, 4.0, 1000), SampleMean(2.3, 4.0, 1000)
    found = count_diagnostics(control, treatment, 2.0)
    assert found.dispersion_control == pytest.approx(8.0)
    counts = design(metric_type="count", baseline_value=1.0, exposure_per_user=2.0)
    welch = compare_live(counts, per_exposure(control, 2.0), per_exposure(treatment, 2.0)).analysis
    assert welch is not None
    assert found.poisson_p_value < 0.001 < 0.05 < welch.p_value
    assert welch.observed_effect == pytest.approx(0.15)
    assert count_diagnostics(SampleMean(0, 0, 5), control).dispersion_control is None


def test_several_arms_share_the_level() -> None:
    two, four = design(), design(traffic_split=(1, 1, 1, 1), variants_count=4)
    arms = Proportion(200, 2000), Proportion(260, 2000)
    one, other = compare_live(two, *arms), compare_live(four, *arms)
    assert one.always_valid is not None
    assert other.always_valid is not None
    assert other.always_valid.confidence_level == pytest.approx(1 - 0.05 / 3)
    assert other.always_valid.always_valid_p_value == one.always_valid.always_valid_p_value
    assert other.analysis is not None
    assert other.analysis.ci_level == pytest.approx(1 - 0.05 / 3)


def test_looks_are_taken_once_each() -> None:
    plan = design(n_looks=4)
    assert take_look(plan, [], 0.2, [1.0]) is None
    first = take_look(plan, [], 0.55, [1.0])
    assert first is not None
    assert (first.look, first.information_fraction) == (2, 0.55)
    assert take_look(plan, [first], 0.7, [1.0]) is None
    last = take_look(plan, [first], 1.3, [1.0])
    assert last is not None
    assert (last.look, last.information_fraction, last.crossed) == (4, 1.0, False)
    assert take_look(plan, [first, last], 2.0, [9.0]) is None


def test_a_comparison_answers_with_the_fields_of_the_contract() -> None:
    found = to_answer(compare_live(design(), Proportion(200, 2000), Proportion(260, 2000)))
    assert set(found) == {
        "status", "analysis", "probability_treatment_beats_control", "expected_loss_treatment",
        "expected_loss_control", "always_valid", "precise",
    }  # fmt: skip
    assert set(found["always_valid"]) == {
        "status", "always_valid_p_value", "confidence_level", "ci_sequence_lower", "ci_sequence_upper",
        "is_significant", "mixture_variance", "precise",
    }  # fmt: skip
    assert found["probability_treatment_beats_control"] == 0.999
    assert found["always_valid"]["always_valid_p_value"] == 0.156316


def test_a_look_answers_with_the_fields_of_the_contract() -> None:
    found = to_answer(TakenLook(2, 0.402, 3.22501234567, (-3.7512345678, 1.0)))
    assert {"look", "information_fraction", "boundary_z", "z", "crossed", "zs"} < set(found)
    assert (found["z"], found["precise"]["z"], found["crossed"]) == (-3.751235, -3.7512345678, True)
    assert found["zs"] == [-3.751235, 1.0]


def test_the_policy_is_told() -> None:
    found = to_answer(policy_of(design()))
    assert set(found) == {
        "version", "require_practical_evidence", "practical_rule", "mwe_scale", "minimum_worthwhile_effect",
        "minimum_worthwhile_effect_relative_pct", "mwe_source", "metric_type", "baseline_value", "planned_power",
        "evidence_fields",
    }  # fmt: skip
    assert found["minimum_worthwhile_effect"] == pytest.approx(0.01)


def test_strata_without_both_arms_are_left_out() -> None:
    strata = (
        Stratum("a", Proportion(30, 500), Proportion(45, 510)),
        Stratum("b", None, Proportion(5, 10)),
        Stratum("c", Proportion(0, 1), Proportion(5, 10)),
    )
    found = StratifiedTest(strata).result()
    assert (found.num_strata, found.effect) == (1, pytest.approx(45 / 510 - 30 / 500))
    assert [(each.users, each.effect is None) for each in found.strata] == [(1010, False), (10, True), (11, True)]
    assert found.variance_reduction_pct == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ParameterError, match=r"^strata must be 1 to 50"):
        StratifiedTest(strata[1:])


def test_strata_that_differ_save_variance() -> None:
    found = StratifiedTest(
        (
            Stratum("a", SampleMean(10, 1, 100), SampleMean(11, 1, 100)),
            Stratum("b", SampleMean(20, 1, 100), SampleMean(21, 1, 100)),
        )
    ).result()
    assert found.effect == pytest.approx(1.0)
    assert found.variance_reduction_pct == pytest.approx(96.1, abs=0.2)


def test_guardrails_tell_harm_from_doubt() -> None:
    assert GuardrailTest(-0.01, 1e-6, 0.002).result().non_inferior is True
    assert GuardrailTest(0.01, 1e-6, 0.002).result().status == "breached"
    assert GuardrailTest(-0.01, 1e-6, 0.002, "decrease_is_bad").result().is_breached is True
    doubt = GuardrailTest(0.001, 1e-5, 0.002).result()
    assert (doubt.status, doubt.non_inferior) == ("ok", False)
    for parameter, given in (
        ("variance", {"variance": 0.0}),
        ("margin", {"variance": 1.0, "margin": -1.0}),
        ("direction", {"variance": 1.0, "direction": "up"}),
    ):
        with pytest.raises(ParameterError, match=f"^{parameter} must be "):
            GuardrailTest(0.0, **given)


@pytest.mark.parametrize(
    ("parameter", "call"),
    [
        ("direction", lambda: LiveDesign(design().request, direction="up")),
        ("decision_policy", lambda: LiveDesign(design().request, policy="other")),
        ("decision_policy", lambda: decided(WIN, policy="other")),
        ("information_fraction", lambda: decided(WIN, information=-1.0)),
    ],
)
def test_a_bad_value_is_named(parameter: str, call: Any) -> None:
    with pytest.raises(ParameterError, match=f"^{parameter} must be "):
        call()
