"""What simulations came to, from the counts of their repetitions."""

from __future__ import annotations

import pytest
from scipy import stats

from app.analysis.summary import TOTAL, arms_table, regrets, series, spread_of
from app.domain.moments import moments_of
from app.domain.simulation import ArmTotals, RepetitionResult, SeriesPoint


def arm(name: str, rewards: list[float], pulls: int | None = None) -> ArmTotals:
    binary = all(value in (0.0, 1.0) for value in rewards)
    return ArmTotals(name, len(rewards) if pulls is None else pulls, moments_of(rewards), binary)


def test_rewards_of_0_and_1_have_wilsons_interval_over_all_repetitions() -> None:
    results = [RepetitionResult([arm("a", [0.0] * 3)], []), RepetitionResult([arm("a", [0.0])], [])]
    row = arms_table(results)["a"]
    expected = stats.binomtest(0, 4).proportion_ci(method="wilson")
    assert (row["mean_reward_low"], row["mean_reward_high"]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert row["mean_reward_high"] == pytest.approx(0.490, abs=0.0005)
    assert "standard_error" not in row  # not 0, as if it were certain


def test_other_rewards_have_students_interval_over_all_repetitions() -> None:
    values = [[1e9 + 0.5, 1e9 - 0.25], [1e9 + 1.0]]
    results = [RepetitionResult([arm("a", part)], []) for part in values]
    row = arms_table(results)["a"]
    together = [value for part in values for value in part]
    expected = stats.t.interval(0.95, 2, sum(together) / 3, stats.sem([value - 1e9 for value in together]))
    assert (row["mean_reward_low"], row["mean_reward_high"]) == pytest.approx(expected, abs=1e-6)
    assert row["standard_error"] == pytest.approx(stats.sem([value - 1e9 for value in together]), rel=1e-6)


@pytest.mark.parametrize("rewards", [[], [2.5], [2.5, 2.5, 2.5]])
def test_fewer_than_two_different_values_have_no_interval(rewards: list[float]) -> None:
    row = arms_table([RepetitionResult([arm("a", rewards, pulls=5)], [])])["a"]
    assert row == {"pulls": 5, "share": 1.0, "mean_reward": rewards[0] if rewards else None}


def test_regret_has_median_and_quantiles_beside_its_mean() -> None:
    results = [RepetitionResult([arm("a", [0.0], pulls), arm("b", [1.0], 100 - pulls)], []) for pulls in (10, 20, 90)]
    lost = regrets(results, {"a": 0.0, "b": 1.0})
    fields = spread_of("regret", lost[TOTAL], 3)
    assert fields["regret"] == 40
    assert (fields["regret_median"], fields["regret_q05"], fields["regret_q95"]) == pytest.approx((20, 11, 83))
    assert (fields["regret_low"], fields["regret_high"]) == pytest.approx(
        stats.t.interval(0.95, 2, 40, stats.sem([10, 20, 90]))
    )
    assert spread_of("regret", lost["b"], 3).keys() == {"regret", "regret_median", "regret_q05", "regret_q95"}
    assert spread_of("regret", lost[TOTAL], 1) == {"regret": 40}
    assert regrets(results, {"a": 0.0}) == {}


def test_a_series_is_a_mean_over_repetitions_with_both_ends_of_its_interval() -> None:
    results = [
        RepetitionResult([arm("a", [1.0])], [SeriesPoint(10, total, [10]), SeriesPoint(20, 2 * total, [20])])
        for total in (1.0, 2.0, 3.0)
    ]
    grown = series(results, {"a": 1.0, "b": 2.0})
    assert grown["draws"] == [10, 20]
    assert grown["reward"] == [2.0, 4.0]
    assert grown["reward_high"][0] == pytest.approx(stats.t.interval(0.95, 2, 2, stats.sem([1, 2, 3]))[1])
    assert grown["regret"] == grown["regret_low"] == [10.0, 20.0]
    assert grown["pulls"] == {"a": [10, 20]}
