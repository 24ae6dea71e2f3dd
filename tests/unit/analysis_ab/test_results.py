"""Results in words, units and JSON; what isn't defined is refused or told."""

from __future__ import annotations

import json
from math import inf, isnan
from typing import Any

import numpy as np
import pytest

from app.analysis.ab.answer import to_answer
from app.analysis.ab.bandit import BanditSimulation
from app.analysis.ab.checks import ParameterError
from app.analysis.ab.compare.analyse import OBJECTS, analyse
from app.analysis.ab.compare.counts import CountsTest
from app.analysis.ab.compare.fisher import FisherTest
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.permutation import PermutationTest, QuantileTest
from app.analysis.ab.compare.proportions import ProportionsTest
from app.analysis.ab.compare.words import VERDICTS
from app.analysis.ab.compare.yuen import YuenTest
from app.analysis.ab.independence import IndependenceTest
from app.analysis.ab.interval import Interval
from app.analysis.ab.live.uplift import simulate_uplift
from app.analysis.ab.multiple import Metric, MultipleTesting
from app.analysis.ab.srm import SrmTest
from app.analysis.ab.statistic import EventCount, Proportion, RatioMean, SampleMean

FIELDS = {
    "metric_type", "observed_effect", "observed_effect_relative", "control_rate", "treatment_rate", "ci_lower",
    "ci_upper", "ci_level", "p_value", "test_statistic", "is_significant", "power_achieved", "verdict", "verdict_code",
    "interpretation", "effect_size", "effect_size_label", "effect_size_ci_lower", "effect_size_ci_upper", "unit",
    "ci_method", "ci_disagrees", "detectable_effect", "precise",
}  # fmt: skip
GIVEN: dict[str, dict[str, Any]] = {
    "binary": {
        "control_conversions": 40,
        "control_users": 100,
        "treatment_conversions": 58,
        "treatment_users": 100,
    },
    "continuous": {
        "control_mean": 100,
        "control_std": 15,
        "control_n": 500,
        "treatment_mean": 103,
        "treatment_std": 18,
        "treatment_n": 480,
        "equivalence_margin": 9,
    },
    "ranked": {"control_values": [1, 2, 3, 4, 5, 6.5], "treatment_values": [4.5, 6, 7, 9, 11, 12]},
    "count": {"control_events": 90, "control_exposure": 1000, "treatment_events": 130, "treatment_exposure": 1000},
}
CODES = dict.fromkeys(OBJECTS, "uplift") | {"equivalence": "equivalent"}


def converted(x: int, n: int, y: int, m: int) -> dict[str, int]:
    """The API's names of two proportions."""
    return {"control_conversions": x, "control_users": n, "treatment_conversions": y, "treatment_users": m}


@pytest.mark.parametrize("metric_type", OBJECTS)
def test_each_metric_type_answers_with_all_fields(metric_type: str) -> None:
    found = analyse(metric_type, 0.05, **GIVEN[OBJECTS[metric_type]])
    answer = to_answer(found)
    assert set(answer) == FIELDS
    assert answer["metric_type"] == metric_type
    assert answer["verdict_code"] == CODES[metric_type]
    assert answer["verdict"] == VERDICTS[CODES[metric_type]]
    assert answer["interpretation"].startswith(answer["verdict"])
    assert answer["observed_effect"] == round(found.observed_effect, 6 if metric_type == "count" else 4)
    assert answer["precise"]["observed_effect"] == found.observed_effect
    json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize("metric_type", OBJECTS)
def test_a_missing_value_is_named(metric_type: str) -> None:
    for name in GIVEN[OBJECTS[metric_type]]:
        if name == "equivalence_margin" and metric_type == "continuous":
            continue
        given = {key: value for key, value in GIVEN[OBJECTS[metric_type]].items() if key != name}
        with pytest.raises(ParameterError, match=f"^{name} must be given"):
            analyse(metric_type, 0.05, **given)


def test_options_reach_their_test() -> None:
    ranked = GIVEN["ranked"]
    assert analyse("quantile", **ranked, quantile=0.9).observed_effect != analyse("quantile", **ranked).observed_effect
    assert analyse("trimmed_t", **ranked, trim=0.0).p_value != analyse("trimmed_t", **ranked, trim=0.2).p_value
    assert analyse("binary", 0.001, **GIVEN["binary"]).verdict_code == "no_difference"


def test_points_are_a_hundred_times_proportions() -> None:
    plain = ProportionsTest(Proportion(40, 100), Proportion(58, 100)).result()
    points = plain.reported()
    assert (points.unit, points.reported()) == ("percentage_points", points)
    for name in ("observed_effect", "ci_lower", "ci_upper", "control_rate", "treatment_rate", "detectable_effect"):
        assert getattr(points, name) == pytest.approx(100 * getattr(plain, name))
    assert (points.p_value, points.observed_effect_relative) == (plain.p_value, pytest.approx(45.0))
    value = analyse("continuous", **GIVEN["continuous"])
    assert (value.unit, value.reported()) == ("absolute", value)


@pytest.mark.parametrize(
    ("metric_type", "given"),
    [
        ("binary", converted(0, 50, 0, 60)),
        ("fisher_exact", converted(9, 9, 9, 9)),
        ("barnard_exact", converted(0, 9, 0, 9)),
        ("boschloo_exact", converted(0, 9, 0, 9)),
        ("count", {"control_events": 0, "control_exposure": 5, "treatment_events": 0, "treatment_exposure": 5}),
        ("mann_whitney", {"control_values": [3, 3, 3], "treatment_values": [3, 3]}),
        ("bootstrap", {"control_values": [3, 3, 3], "treatment_values": [3, 3]}),
        ("quantile", {"control_values": [3, 3, 3], "treatment_values": [3, 3]}),
        ("trimmed_t", {"control_values": [3, 3, 3], "treatment_values": [4, 4]}),
        ("continuous", {"control_mean": 1, "control_std": 0, "control_n": 5,
                        "treatment_mean": 2, "treatment_std": 0, "treatment_n": 5}),
        ("equivalence", {"control_mean": 1, "control_std": 0, "control_n": 5, "equivalence_margin": 1,
                         "treatment_mean": 2, "treatment_std": 0, "treatment_n": 5}),
    ],
)  # fmt: skip
def test_without_variation_there_is_no_verdict(metric_type: str, given: dict[str, Any]) -> None:
    found = analyse(metric_type, **given)
    assert (found.verdict_code, found.observed_effect, found.is_significant) == ("degenerate", 0.0, False)
    assert found.p_value == pytest.approx(1.0)
    assert "no variation" in found.interpretation
    json.dumps(to_answer(found), allow_nan=False)


def test_ratios_without_a_denominator_are_infinite_or_undefined() -> None:
    assert FisherTest(Proportion(0, 9), Proportion(3, 9)).result().effect_size == inf
    assert CountsTest(EventCount(0, 1.0), EventCount(3, 1.0)).result().effect_size == inf
    undefined = CountsTest(EventCount(0, 1.0), EventCount(0, 1.0)).result().effect_size
    assert undefined is not None
    assert isnan(undefined)
    answer = to_answer(FisherTest(Proportion(0, 9), Proportion(3, 9)).result())
    assert (answer["effect_size"], answer["effect_size_ci_upper"], answer["observed_effect_relative"]) == (None,) * 3


def test_a_test_and_an_interval_of_another_kind_may_disagree() -> None:
    found = FisherTest(Proportion(3, 10), Proportion(8, 10)).result()
    assert found.ci_disagrees is True
    assert "decides otherwise" in found.interpretation


def test_a_small_p_is_never_shown_as_zero() -> None:
    answer = to_answer(ProportionsTest(Proportion(100, 2000), Proportion(400, 2000)).result())
    assert 0 < answer["p_value"] < 1e-6
    assert "p < 0.0001" in answer["interpretation"]


def test_the_seed_of_random_draws_is_the_data() -> None:
    x, y = tuple(range(40)), tuple(range(5, 50))
    assert PermutationTest(x, y).result() == PermutationTest(x, y).result()
    assert PermutationTest(x, y).result().ci_lower != PermutationTest(x[::-1], y).result().ci_lower


def test_random_splits_never_give_zero() -> None:
    found = PermutationTest(tuple(range(40)), tuple(range(100, 140))).result()
    assert found.p_value == pytest.approx(1 / 2001)


@pytest.mark.parametrize(
    ("parameter", "call"),
    [
        ("n", lambda: Proportion(0, 0)),
        ("successes", lambda: Proportion(3, 2)),
        ("successes", lambda: Proportion(-1, 2)),
        ("successes", lambda: Proportion(1.5, 2)),  # type: ignore[arg-type]
        ("sd", lambda: SampleMean(1, -1, 5)),
        ("n", lambda: SampleMean(1, 1, 1)),
        ("mean", lambda: SampleMean(inf, 1, 5)),
        ("values", lambda: SampleMean.of([1])),
        ("exposure", lambda: EventCount(1, 0)),
        ("denominators", lambda: RatioMean.of([1, 2], [1, 2, 3])),
        ("denominator", lambda: RatioMean.of([1, 2], [-1, 1])),
        ("users", lambda: FisherTest(Proportion(1, 499_999), Proportion(1, 2))),
        ("users", lambda: analyse("barnard_exact", control_conversions=1, control_users=199,
                                  treatment_conversions=1, treatment_users=2)),
        ("events", lambda: CountsTest(EventCount(999_999, 1), EventCount(2, 1))),
        ("alpha", lambda: ProportionsTest(Proportion(1, 2), Proportion(1, 2), 0.0)),
        ("trim", lambda: analyse("trimmed_t", control_values=[1, 2], treatment_values=[1, 2], trim=0.5)),
        ("treatment_values", lambda: analyse("trimmed_t", control_values=[1, 2, 3, 4], treatment_values=[1, 2, 3, 4, 5],
                                           trim=0.4)),
        ("quantile", lambda: analyse("quantile", control_values=[1, 2], treatment_values=[1, 2], quantile=1)),
        ("control_values", lambda: analyse("mann_whitney", control_values=[1, inf], treatment_values=[1, 2])),
        ("metric_type", lambda: analyse("other")),
        ("table", lambda: IndependenceTest([[1, 2]])),
        ("table", lambda: IndependenceTest([[1, 2], [3]])),
        ("table", lambda: IndependenceTest([[1, 0], [3, 0]])),
        ("table", lambda: IndependenceTest([[1, -1], [3, 2]])),
        ("table", lambda: IndependenceTest([[4_000_000, 1], [1, 1_000_000]])),
        ("test_type", lambda: IndependenceTest([[1, 2], [3, 4]], test_type="other")),
        ("observed_counts", lambda: SrmTest((0, 0), (0.5, 0.5))),
        ("expected_fractions", lambda: SrmTest((1, 2), (0.5, 0.6))),
        ("expected_fractions", lambda: SrmTest((1, 2), (1.0, 0.0))),
        ("expected_fractions", lambda: SrmTest((1, 2), (0.3, 0.3, 0.4))),
        ("metrics", lambda: MultipleTesting([])),
        ("p_value", lambda: MultipleTesting([Metric("a", 1.1)])),
        ("method", lambda: MultipleTesting([Metric("a", 0.1)], "other")),
        ("arm_rates", lambda: BanditSimulation((0.5,), 100)),
        ("arm_rates", lambda: BanditSimulation((0.5, 1.5), 100)),
        ("horizon", lambda: BanditSimulation((0.5, 0.6), 9)),
        ("num_simulations", lambda: BanditSimulation((0.5, 0.6), 10, 2001)),
        ("monte_carlo_simulations", lambda: simulate_uplift(Proportion(1, 2), Proportion(1, 2), "x", 0)),
    ],
)  # fmt: skip
def test_a_bad_value_is_named(parameter: str, call: Any) -> None:
    with pytest.raises(ValueError, match=f"^{parameter} must be "):
        call()


def test_sample_ratio_answers_with_its_fields() -> None:
    found = to_answer(SrmTest((5000, 5600), (0.495, 0.5)).result())
    assert set(found) == {
        "chi_square", "p_value", "is_srm", "verdict", "verdict_code", "observed_counts", "expected_counts",
        "always_valid_p_value", "precise",
    }  # fmt: skip
    assert (found["is_srm"], found["verdict_code"]) == (True, "srm_detected")
    assert found["expected_counts"] == [5273.4, 5326.6]


def test_independence_answers_with_its_fields() -> None:
    found = to_answer(IndependenceTest([[8, 2], [1, 9]]).result())
    assert set(found) == {
        "test_type", "chi_square", "degrees_of_freedom", "p_value", "is_significant", "cramers_v", "n_total",
        "num_rows", "num_cols", "min_expected_count", "low_expected_warning", "verdict", "verdict_code",
        "interpretation", "precise",
    }  # fmt: skip
    assert found["low_expected_warning"] is True
    assert (found["chi_square"], found["cramers_v"]) == (9.899, 0.7035)


def test_corrections_answer_in_the_order_of_the_input() -> None:
    found = to_answer(MultipleTesting([Metric("b", 0.5), Metric("a", 0.001)], "holm").result())
    assert set(found) == {
        "method", "level", "num_tests", "num_rejected", "threshold_rank", "critical_value", "results", "precise",
    }  # fmt: skip
    assert [(row["label"], row["rejected"]) for row in found["results"]] == [("b", False), ("a", True)]
    none = MultipleTesting([Metric("b", 0.5)]).result()
    assert (none.num_rejected, none.critical_value, none.threshold_rank) == (0, 0.0, 0)
    on_the_edge = MultipleTesting([Metric(str(p), p) for p in (0.01, 0.02, 0.03, 0.04, 0.05)]).result()
    assert on_the_edge.num_rejected == 5


def test_bandits_earn_more_than_an_even_split_and_repeat() -> None:
    found = BanditSimulation((0.3, 0.5, 0.4), 600, 100, seed=3).result()
    assert found == BanditSimulation((0.3, 0.5, 0.4), 600, 100, seed=3).result()
    assert found != BanditSimulation((0.3, 0.5, 0.4), 600, 100, seed=4).result()
    assert (found.best_arm_index, found.num_simulations, found.horizon) == (1, 100, 600)
    assert sum(found.arm_allocation) == pytest.approx(1.0)
    assert found.best_arm_allocation == found.arm_allocation[1] == max(found.arm_allocation)
    assert 0 < found.final_bandit_regret < found.final_uniform_regret == pytest.approx(60)
    assert found.probability_best_arm > 0.8
    regrets = [point.bandit_cumulative_regret for point in found.regret_curve]
    assert regrets == sorted(regrets)
    assert found.regret_curve[-1].step == 600
    assert set(to_answer(found)) == {
        "arm_allocation", "best_arm_index", "best_arm_allocation", "probability_best_arm", "final_bandit_regret",
        "final_uniform_regret", "regret_curve", "num_simulations", "horizon",
    }  # fmt: skip
    assert len(BanditSimulation((0.5, 0.6), 10, 1).result().regret_curve) == 10


def test_a_bandit_whose_arms_are_alike_loses_nothing() -> None:
    found = BanditSimulation((0.5, 0.5), 50, 20).result()
    assert (found.final_bandit_regret, found.final_uniform_regret, found.probability_best_arm) == (0.0, 0.0, 1.0)


def test_uplifts_follow_the_posterior() -> None:
    found = simulate_uplift(Proportion(200, 2000), Proportion(260, 2000), "a", 50_000)
    assert found.probability_uplift_positive == pytest.approx(0.9985309319, abs=3 * (0.0015 / 50_000) ** 0.5)
    assert found == simulate_uplift(Proportion(200, 2000), Proportion(260, 2000), "a", 50_000)
    assert list(found.percentiles) == ["5", "25", "50", "75", "95"]
    assert list(found.percentiles.values()) == sorted(found.percentiles.values())
    falling = list(found.probability_uplift_above_threshold.values())
    assert falling == sorted(falling, reverse=True)
    means = simulate_uplift(SampleMean(10, 3, 900), SampleMean(11, 3, 900), "a", 50_000)
    assert means.percentiles["50"] == pytest.approx(0.1, abs=0.001)


def test_whole_numbers_may_be_floats_and_inputs_never_change() -> None:
    assert Proportion(5.0, 10.0) == Proportion(5, 10)  # type: ignore[arg-type]
    assert analyse("barnard_exact", **converted(3.0, 10.0, 8.0, 10.0)) == analyse(  # type: ignore[arg-type]
        "barnard_exact", **converted(3, 10, 8, 10)
    )
    control, treatment = np.array([1.0, 2, 3]), [4.0, 5, 6]
    for kind in (MannWhitneyTest, PermutationTest, QuantileTest, YuenTest):
        test = kind(control, treatment)
        assert test == kind((1, 2, 3), (4, 5, 6))
        before = test.result()
        treatment[0] = 4.5
        assert test.result() == before
        treatment[0] = 4.0


def test_an_interval_knows_what_it_excludes() -> None:
    assert Interval(0.1, inf, 0.95).excludes(0.0)
    assert not Interval(-inf, inf, 0.95).excludes(0.0)
