"""The whole plan: which formula, which parts, which warnings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.analysis.ab.answer import to_answer
from app.analysis.ab.checks import ParameterError
from app.analysis.ab.plan.calculation import calculate, planned_sample_size
from app.analysis.ab.plan.guardrails import Guardrail, plan_guardrail
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.plan.sensitivity import Sensitivity
from app.analysis.ab.plan.traffic import Traffic
from app.analysis.ab.plan.warnings import RULES


def request(**changes: Any) -> PlanRequest:
    """A plain plan of a binary metric with a lot of traffic."""
    base = PlanRequest(
        metric_type="binary",
        baseline_value=0.1,
        mde_pct=10,
        expected_daily_traffic=10_000,
        audience_share_in_test=1.0,
        traffic_split=(1, 1),
        variants_count=2,
    )
    return replace(base, **changes)


def mean(**changes: Any) -> PlanRequest:
    """The same with a mean."""
    return request(metric_type="continuous", baseline_value=50.0, mde_pct=4.0, std_dev=20.0, **changes)


@pytest.mark.parametrize(
    ("plan", "n", "test"),
    [
        (request(), 14751, "z_test"),
        (request(planned_test="fisher_exact"), 14951, "fisher_exact"),
        (mean(), 1570, "z_test"),
        (mean(planned_test="mann_whitney"), 1645, "mann_whitney"),
        (
            replace(mean(), baseline_value=1.0, std_dev=0.1, planned_test="tost", equivalence_margin_pct=5.0),
            69,
            "tost",
        ),
        (replace(mean(), metric_type="ratio"), 1570, "z_test"),
        (request(metric_type="count", baseline_value=2.0), 824, "poisson_rate"),
        (replace(request(), metric_type="count", baseline_value=2.0, exposure_per_user=2.0), 412, "poisson_rate"),
    ],
)
def test_each_metric_and_test_has_its_formula(plan: PlanRequest, n: int, test: str) -> None:
    found = calculate(plan)
    assert (found.results.sample_size_per_variant, found.calculation_summary.planned_test) == (n, test)
    assert found.results.total_sample_size == 2 * n
    assert planned_sample_size(plan) == n


def test_parts_that_were_not_asked_for_are_none() -> None:
    found = calculate(request())
    names = (
        "bonferroni_note", "design_effect", "bayesian_note", "sequential_boundaries", "cuped_std",
    )  # fmt: skip
    assert [getattr(found, name) for name in names] == [None] * 5
    assert found.warnings == ()
    assert found.results.allocated_daily_traffic is None


def test_clusters_inflate_everything() -> None:
    plan = mean(
        randomization_unit="cluster",
        avg_cluster_size=100,
        icc=0.02,
        cuped_pre_experiment_std=20.0,
        cuped_correlation=0.6,
        analysis_mode="bayesian",
        desired_precision=1.0,
    )
    found = calculate(plan)
    assert found.design_effect == pytest.approx(2.98)
    assert found.results.sample_size_per_variant == 4679  # 1570 * 2.98 = 4678.6
    assert found.clusters_per_variant == 47
    assert found.cuped_sample_size_per_variant == 2995  # 1005 * 2.98 = 2994.9
    assert found.bayesian_sample_size_per_variant == 9161  # 3074 * 2.98 = 9160.52
    assert (found.cuped_std, found.cuped_theta, found.cuped_variance_reduction_pct) == (16.0, 0.6, 36.0)
    without = calculate(replace(plan, randomization_unit="user"))
    assert (without.design_effect, without.results.sample_size_per_variant) == (None, 1570)


def test_looks_have_the_level_of_each_comparison() -> None:
    found = calculate(request(traffic_split=(1, 1, 1), variants_count=3, n_looks=3))
    assert found.sequential_boundaries is not None
    assert found.sequential_boundaries[-1].cumulative_alpha_spent == pytest.approx(0.025)
    assert found.sequential_boundaries[-1].z_boundary == pytest.approx(2.271985966)
    assert found.sequential_inflation_factor == pytest.approx(1.011561983)
    assert found.results.sample_size_per_variant == 17864
    assert found.sequential_adjusted_sample_size == 18071  # 17864 * 1.01156 = 18070.5
    assert planned_sample_size(request(traffic_split=(1, 1, 1), variants_count=3, n_looks=3)) == 18071


def test_precision_is_in_points_for_a_binary_metric() -> None:
    found = calculate(request(analysis_mode="bayesian", desired_precision=0.5))
    assert (found.bayesian_sample_size_per_variant, found.bayesian_credibility) == (27659, 0.95)


def test_traffic_that_is_held_back_prolongs_the_plan() -> None:
    plan = request(
        baseline_value=0.042,
        mde_pct=5,
        expected_daily_traffic=12000,
        audience_share_in_test=0.6,
        holdout_fraction=0.1,
        mutually_exclusive_experiments=2,
    )
    found = calculate(plan).results
    assert found.estimated_duration_days == 91
    assert found.effective_daily_traffic == pytest.approx(7200)
    assert found.allocated_daily_traffic == pytest.approx(3240)
    assert found.expected_exposures == (147420, 147420)
    uneven = calculate(request(traffic_split=(3, 1))).results
    assert uneven.estimated_duration_days == 6
    assert uneven.expected_exposures == (45000, 15000)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("LONG_DURATION", {"expected_daily_traffic": 500}),
        (
            "MANY_VARIANTS_LOW_TRAFFIC",
            {"traffic_split": (1, 1, 1), "variants_count": 3, "expected_daily_traffic": 5000},
        ),
        ("LONG_TEST_NOT_POSSIBLE", {"expected_daily_traffic": 2000, "long_test_possible": False}),
        ("SRM_DETECTED", {"actual_counts": (5000, 5600)}),
        ("CLUSTER_RANDOMIZATION", {"randomization_unit": "cluster"}),
        ("LOW_TRAFFIC", {"expected_daily_traffic": 999}),
        ("CONSERVATIVE_MULTIVARIANT_ALPHA", {"traffic_split": (1, 1, 1), "variants_count": 3}),
        ("SEASONALITY_PRESENT", {"seasonality_present": True}),
        ("CAMPAIGN_CONTAMINATION", {"active_campaigns_present": True}),
        ("UNDERPOWERED_DESIGN", {"power": 0.7}),
        ("INTERIM_LOOKS_INCREASE_SAMPLE", {"n_looks": 2}),
    ],
)
def test_each_rule_warns(code: str, changes: dict[str, Any]) -> None:
    found = {warning.code: warning for warning in calculate(request(**changes)).warnings}
    assert found[code].severity == RULES[code][0]
    assert found[code].source == "rules_engine"
    assert code not in {warning.code for warning in calculate(request()).warnings}


def test_every_rule_is_tested() -> None:
    tested = test_each_rule_warns.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {code for code, _ in tested} == set(RULES)


@pytest.mark.parametrize(
    ("parameter", "changes"),
    [
        ("metric_type", {"metric_type": "other"}),
        ("baseline_value", {"baseline_value": 1.0}),
        ("baseline_value", {"baseline_value": float("nan")}),
        ("mde_pct", {"mde_pct": 0.0}),
        ("alpha", {"alpha": 1.0}),
        ("power", {"power": 0.0}),
        ("std_dev", {"metric_type": "continuous"}),
        ("std_dev", {"metric_type": "ratio"}),
        ("std_dev", {"metric_type": "continuous", "std_dev": -1.0}),
        ("planned_test", {"planned_test": "tost"}),
        ("planned_test", {"metric_type": "count", "planned_test": "mann_whitney"}),
        ("equivalence_margin_pct", {"metric_type": "continuous", "std_dev": 1.0, "planned_test": "tost"}),
        ("variants_count", {"variants_count": 11}),
        ("variants_count", {"variants_count": True}),
        ("traffic_split", {"variants_count": 3}),
        ("traffic_split", {"traffic_split": (1, 0)}),
        ("expected_daily_traffic", {"expected_daily_traffic": 0}),
        ("audience_share_in_test", {"audience_share_in_test": 1.5}),
        ("holdout_fraction", {"holdout_fraction": 1.0}),
        ("mutually_exclusive_experiments", {"mutually_exclusive_experiments": 0}),
        ("actual_counts", {"actual_counts": (1, 2, 3)}),
        ("n_looks", {"n_looks": 101}),
        ("sequential_boundary", {"sequential_boundary": "haybittle"}),
        ("analysis_mode", {"analysis_mode": "fiducial"}),
        ("desired_precision", {"analysis_mode": "bayesian"}),
        ("credibility", {"credibility": 0.5}),
        ("icc", {"randomization_unit": "cluster", "avg_cluster_size": 5, "icc": 1.5}),
        ("avg_cluster_size", {"randomization_unit": "cluster", "avg_cluster_size": 0.5, "icc": 0.5}),
        (
            "cuped_correlation",
            {
                "metric_type": "continuous",
                "std_dev": 1.0,
                "cuped_pre_experiment_std": 1.0,
                "cuped_correlation": 1.0,
            },
        ),
    ],
)
def test_a_bad_value_is_named(parameter: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=f"^{parameter} must be ") as error:
        request(**changes)
    assert error.value.parameter == parameter


def test_values_that_do_not_fit_together_are_named() -> None:
    with pytest.raises(ParameterError, match=r"^mde_pct must be small enough to keep the rate 0.6 below 1"):
        calculate(request(baseline_value=0.6, mde_pct=70))
    with pytest.raises(ParameterError, match=r"^power must be above 0.05"):
        calculate(request(power=0.05))


def test_an_answer_has_the_fields_of_the_contract() -> None:
    found = to_answer(calculate(request(n_looks=2, randomization_unit="cluster", avg_cluster_size=7, icc=0.0123)))
    assert set(found) == {
        "calculation_summary", "results", "assumptions", "warnings", "bonferroni_note", "design_effect",
        "avg_cluster_size", "icc", "clusters_per_variant", "bayesian_sample_size_per_variant", "bayesian_credibility",
        "bayesian_note", "sequential_boundaries", "sequential_inflation_factor", "sequential_adjusted_sample_size",
        "cuped_std", "cuped_sample_size_per_variant", "cuped_variance_reduction_pct", "cuped_duration_days",
        "cuped_theta", "precise",
    }  # fmt: skip
    assert set(found["calculation_summary"]) == {
        "metric_type", "baseline_value", "mde_pct", "mde_absolute", "alpha", "power", "planned_test",
        "equivalence_margin_pct", "equivalence_margin_absolute",
    }  # fmt: skip
    assert set(found["results"]) == {
        "sample_size_per_variant", "total_sample_size", "estimated_duration_days", "effective_daily_traffic",
        "holdout_fraction", "mutually_exclusive_experiments", "allocated_daily_traffic", "expected_exposures",
    }  # fmt: skip
    look = found["sequential_boundaries"][0]
    assert set(look) == {
        "look", "info_fraction", "cumulative_alpha_spent", "incremental_alpha", "z_boundary", "p_boundary", "is_final",
        "precise",
    }  # fmt: skip
    assert (look["z_boundary"], look["precise"]["z_boundary"]) == (2.7965, pytest.approx(2.7965096))
    assert (found["design_effect"], found["precise"]["design_effect"]) == (1.0738, pytest.approx(1.0738))
    assert set(found["warnings"][0]) == {"code", "severity", "message", "source"}


def test_sensitivity_has_one_cell_for_each_pair() -> None:
    plan = Sensitivity("continuous", Traffic(1000, 0.5, (1, 1, 2)), sd=20.0)
    cells = plan.table([1.0, 2.0], [0.7, 0.8, 0.9])
    assert [(cell.mde, cell.power) for cell in cells] == [(m, p) for m in (1.0, 2.0) for p in (0.7, 0.8, 0.9)]
    assert plan.mde_unit == "absolute"
    assert Sensitivity("binary", Traffic(1000, 0.5, (1, 1)), baseline=0.1).mde_unit == "relative_percent"
    assert all(cell.duration_days == -(-cell.sample_size_per_variant // 125) for cell in cells)


def test_a_curve_falls_as_time_goes_by() -> None:
    for plan in (
        Sensitivity("continuous", Traffic(1000, 1, (1, 1)), sd=20.0),
        Sensitivity("binary", Traffic(1000, 1, (1, 1)), baseline=0.1),
    ):
        curve = plan.curve([1, 7, 14, 28])
        effects = [point.detectable_effect for point in curve if point.detectable_effect is not None]
        assert effects == sorted(effects, reverse=True)
        assert len(effects) == 4
        assert curve[1].sample_size_per_variant == 3500


def test_a_table_names_the_effect_that_is_too_large() -> None:
    plan = Sensitivity("binary", Traffic(1000, 1, (1, 1)), baseline=0.6)
    with pytest.raises(ParameterError, match=r"^mde_values must be small enough .* not 80$"):
        plan.table([10, 80], [0.8])
    with pytest.raises(ParameterError, match=r"^mde_values must be so many that the table has 1 to 400 cells"):
        plan.table([1.0] * 101, [0.8] * 4)
    with pytest.raises(ParameterError, match=r"^std_dev must be given"):
        Sensitivity("ratio", Traffic(1000, 1, (1, 1)))
    with pytest.raises(ParameterError, match=r"^baseline must be given"):
        Sensitivity("binary", Traffic(1000, 1, (1, 1)))


def test_guardrails_tell_what_is_detectable() -> None:
    rate = plan_guardrail(Guardrail("errors", "binary", baseline_rate=10.0), 14751, 0.05)
    assert rate.detectable_mde_pp == pytest.approx(0.9999927458)
    assert (rate.baseline, rate.detectable_mde_absolute) == (10.0, None)
    value = plan_guardrail(Guardrail("refunds", "continuous", baseline_mean=18.0, std_dev=20.0), 1570, 0.05)
    assert (value.detectable_mde_absolute, value.detectable_mde_pp) == (pytest.approx(1.999857286), None)
    assert Guardrail("errors", "binary", baseline_rate=10.0, margin_pct=5.0).margin == pytest.approx(0.005)
    for parameter, given in (
        ("baseline_rate", {"metric_type": "binary"}),
        ("baseline_rate", {"metric_type": "binary", "baseline_rate": 100.0}),
        ("std_dev", {"metric_type": "continuous", "baseline_mean": 1.0}),
        ("direction", {"metric_type": "binary", "baseline_rate": 1.0, "direction": "up"}),
    ):
        with pytest.raises(ParameterError, match=f"^{parameter} must be "):
            Guardrail("x", **given)
