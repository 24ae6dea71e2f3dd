"""Live statistics against numbers that were computed independently, with scipy and statsmodels."""

from __future__ import annotations

from typing import Any

import pytest

from app.analysis.ab.live.comparison import LiveComparison, compare_live
from app.analysis.ab.live.cuped import CovariateSums, CupedModel
from app.analysis.ab.live.decision import ShipDecision, decide
from app.analysis.ab.live.design import LiveDesign
from app.analysis.ab.live.evidence import ArmEvidence, Evidence
from app.analysis.ab.live.guardrail import GuardrailTest
from app.analysis.ab.live.posterior import beta_posterior, normal_posterior
from app.analysis.ab.live.strata import StratifiedTest, Stratum
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.sequential.looks import information_fraction
from app.analysis.ab.sequential.mixture import MixtureTest
from app.analysis.ab.srm import SrmTest
from app.analysis.ab.statistic import Proportion, SampleMean


def near(value: float) -> Any:
    """Equal to a relative 1e-8."""
    return pytest.approx(value, rel=1e-8, abs=0)


@pytest.mark.parametrize(
    ("x", "n", "y", "m", "p", "treatment", "control"),
    [
        (200, 2000, 260, 2000, 0.9985309319, 4.231779583e-06, 0.02997426175),
        (12, 50, 9, 48, 0.26878393, 0.06351481473, 0.01351481473),
        (48, 80, 56, 70, 0.995929539, 9.530155681e-05, 0.1942009926),
    ],
)
def test_beta_posterior(x: int, n: int, y: int, m: int, p: float, treatment: float, control: float) -> None:
    found = beta_posterior(Proportion(x, n), Proportion(y, m))
    assert (found.probability, found.loss_treatment, found.loss_control) == (near(p), near(treatment), near(control))


@pytest.mark.parametrize(
    ("difference", "error", "p", "treatment", "control"),
    [(3, 1.25, 0.9918024641, 0.003400555095, 3.003400555), (0.3, 0.2, 0.9331927987, 0.005861358753, 0.3058613588)],
)
def test_normal_posterior(difference: float, error: float, p: float, treatment: float, control: float) -> None:
    found = normal_posterior(difference, error)
    assert (found.probability, found.loss_treatment, found.loss_control) == (near(p), near(treatment), near(control))
    mirrored = normal_posterior(-difference, error)
    assert (mirrored.loss_treatment, mirrored.loss_control) == (found.loss_control, found.loss_treatment)


@pytest.mark.parametrize(
    ("difference", "variance", "mixture", "alpha", "log_ratio", "p", "low", "high"),
    [
        (0.02, 0.0001, 0.0004, 0.05, 0.7952810438, 0.4514543387, -0.01082389994, 0.05082389994),
        (1.4, 0.09, 0.25, 0.025, 7.341967974, 0.0006477744624, 0.3676609422, 2.432339058),
        (0.03, 0.00010155, 0.0001, 0.05, 1.855874921, 0.1563161185, -0.00696753149, 0.06696753149),
    ],
)
def test_mixture(
    difference: float,
    variance: float,
    mixture: float,
    alpha: float,
    log_ratio: float,
    p: float,
    low: float,
    high: float,
) -> None:
    test = MixtureTest(difference, variance, mixture, alpha)
    assert (test.log_ratio, test.p_value) == (near(log_ratio), near(p))
    assert (test.interval.lower, test.interval.upper) == (near(low), near(high))


def test_information() -> None:
    assert information_fraction(9000, [1000], 14751) == near(0.1220256254)
    assert information_fraction(3000, [3000], 8000) == near(0.375)
    assert information_fraction(3000, [6000, 3000], 8000) == near(0.375)
    assert information_fraction(3000, [3000, 0], 8000) == 0.0


@pytest.mark.parametrize(
    ("control", "treatment", "theta", "effect", "error", "df", "p", "low", "high"),
    [
        (
            ([10, 12, 9, 14, 11, 13], [8, 11, 7, 13, 10, 11]),
            ([13, 15, 12, 16, 14], [9, 12, 8, 14, 11]),
            [0.7478632479],
            1.901709402,
            0.2509660639,
            8,
            6.439130669e-05,
            1.322980621,
            2.480438183,
        ),
        (
            (
                [5.1, 7.4, 6.2, 9.8, 4.4, 8.0, 6.6],
                [[4, 1], [7, 0], [5, 2], [9, 1], [4, 3], [8, 2], [6, 0]],
            ),
            ([6.9, 8.1, 5.9, 9.9, 10.4, 7.7], [[5, 1], [7, 2], [4, 0], [9, 3], [9, 1], [6, 2]]),
            [0.8796715359, -0.1321962341],
            0.9318331504,
            0.1893212636,
            9,
            0.0008223767983,
            0.5035586978,
            1.360107603,
        ),
    ],
)
def test_cuped(
    control: tuple[list[float], Any],
    treatment: tuple[list[float], Any],
    theta: list[float],
    effect: float,
    error: float,
    df: int,
    p: float,
    low: float,
    high: float,
) -> None:
    model = CupedModel((CovariateSums.of(*control), CovariateSums.of(*treatment)))
    found = model.result(1)
    assert list(model.theta) == [near(each) for each in theta]
    assert (found.observed_effect, model.error(1), model.df) == (near(effect), near(error), df)
    assert (found.p_value, found.ci_lower, found.ci_upper) == (near(p), near(low), near(high))


def test_strata() -> None:
    binary = StratifiedTest(
        (
            Stratum("a", Proportion(30, 500), Proportion(45, 510)),
            Stratum("b", Proportion(80, 400), Proportion(95, 390)),
        )
    ).result()
    assert (binary.effect, binary.standard_error) == (near(0.03497419139), near(0.01591330682))
    assert binary.p_value == near(0.02796369449)
    mean = StratifiedTest(
        (
            Stratum("a", SampleMean(10, 3, 100), SampleMean(10.8, 3.2, 110)),
            Stratum("b", SampleMean(20, 5, 80), SampleMean(20.9, 5.5, 75)),
        )
    ).result()
    assert (mean.effect, mean.standard_error) == (near(0.8424657534), near(0.4355406579))
    assert mean.p_value == near(0.05307640591)


@pytest.mark.parametrize(
    ("difference", "variance", "margin", "alpha", "low", "high", "p", "status"),
    [
        (0.004, 4.7408e-06, 0.002, 0.05, 0.000418597983, 0.007581402017, 0.1791647354, "warning"),
        (0.6, 0.09, 0, 0.025, 0.01201080464, 1.187989195, 0.02275013195, "breached"),
    ],
)
def test_guardrail(
    difference: float, variance: float, margin: float, alpha: float, low: float, high: float, p: float, status: str
) -> None:
    found = GuardrailTest(difference, variance, margin, "increase_is_bad", alpha).result()
    assert (found.harm_lower_bound, found.harm_upper_bound) == (near(low), near(high))
    assert (found.p_value, found.status) == (near(p), status)
    mirrored = GuardrailTest(-difference, variance, margin, "decrease_is_bad", alpha).result()
    assert (mirrored.harm_lower_bound, mirrored.p_value) == (found.harm_lower_bound, found.p_value)


# Live, with the decision ---------------------------------------------------------------------------------------------


def design(policy: str = "practical_v2") -> LiveDesign:
    return LiveDesign(
        PlanRequest(
            metric_type="binary",
            baseline_value=0.1,
            mde_pct=10,
            alpha=0.05,
            power=0.8,
            expected_daily_traffic=1000,
            audience_share_in_test=1.0,
            traffic_split=(50, 50),
            variants_count=2,
        ),
        policy=policy,
    )


def decided(plan: LiveDesign, control: Proportion, treatment: Proportion) -> tuple[LiveComparison, float, ShipDecision]:
    """What a live page computes, from the sums to the decision."""
    comparison = compare_live(plan, control, treatment)
    information = information_fraction(control.n, [treatment.n], plan.planned_n)
    srm = SrmTest((control.n, treatment.n), (0.5, 0.5)).result()
    arm = ArmEvidence.of(1, comparison, plan.direction)
    assert arm is not None
    evidence = Evidence((arm,), True, srm.is_srm, information, 1, plan.minimum_worthwhile_effect, plan.policy)
    assert srm.p_value == 1
    return comparison, min(1.0, information), decide(evidence)


@pytest.mark.parametrize(
    ("x", "y", "n", "z", "p", "interval", "probability", "anytime", "sequence", "information", "decision"),
    [
        (
            200,
            260,
            2000,
            2.973724283,
            0.00294209307,
            (1.023132325, 4.980577034),
            0.9985309319,
            0.1563161185,
            (-0.00696753149, 0.06696753149),
            0.1355840282,
            ("keep_running", "low", ("fixed_horizon_before_planned_read", "info_fraction_incomplete")),
        ),
        (
            1475,
            1660,
            14751,
            3.495009218,
            0.0004740453824,
            (0.5509213283, 1.957675342),
            0.9997632692,
            0.01319804858,
            (0.001651694169, 0.02343135105),
            1,
            ("ship", "medium", ("significant_win", "practical_threshold_uncertain", "bayesian_win")),
        ),
        (
            40000,
            40900,
            400000,
            3.337479431,
            0.0008454197928,
            (0.09286726191, 0.3571350309),
            0.9995773056,
            0.05812734597,
            (-3.035651002e-05, 0.00453035651),
            1,
            ("no_ship", "medium", ("below_practical_threshold_proven",)),
        ),
    ],
)
def test_live_and_decision(
    x: int,
    y: int,
    n: int,
    z: float,
    p: float,
    interval: tuple[float, float],
    probability: float,
    anytime: float,
    sequence: tuple[float, float],
    information: float,
    decision: tuple[str, str, tuple[str, ...]],
) -> None:
    assert design().planned_n == 14751
    comparison, fraction, found = decided(design(), Proportion(x, n), Proportion(y, n))
    assert comparison.analysis is not None
    assert comparison.always_valid is not None
    analysis, valid = comparison.analysis.reported(), comparison.always_valid
    assert (analysis.test_statistic, analysis.p_value) == (near(z), near(p))
    assert (analysis.ci_lower, analysis.ci_upper) == tuple(map(near, interval))
    assert comparison.probability_treatment_beats_control == near(probability)
    assert valid.always_valid_p_value == near(anytime)
    assert (valid.ci_sequence_lower, valid.ci_sequence_upper) == tuple(map(near, sequence))
    assert fraction == near(information)
    assert comparison.z == near(z)
    assert (found.verdict, found.confidence, found.reasons) == decision


def test_the_first_policy_ships_only_above_the_threshold() -> None:
    _, _, found = decided(design("practical_v1"), Proportion(1475, 14751), Proportion(1660, 14751))
    assert (found.verdict, found.confidence) == ("no_ship", "medium")
    assert found.reasons == ("statistically_positive_but_below_practical_threshold",)
