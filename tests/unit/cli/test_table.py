"""What ``thetaloop simulate`` prints, to the digits that the intervals support."""

from __future__ import annotations

import numpy as np

from app.cli.table import table
from app.domain.moments import moments_of
from app.domain.simulation import ArmTotals, Plan, RepetitionResult


def result(rewards: dict[str, list[float]], binary: bool = True) -> RepetitionResult:
    arms = [ArmTotals(name, len(values), moments_of(values), binary) for name, values in rewards.items()]
    return RepetitionResult(arms, [])


def test_an_arm_without_a_single_success_has_an_interval() -> None:
    said = table([result({"a": [0.0] * 4, "b": [1.0] * 96})], {}, Plan(100, 1))
    assert ["a", "4", "4.0%", "0.00", "0.00", "to", "0.49"] in [line.split() for line in said.splitlines()]


def test_rewards_that_are_all_alike_have_none() -> None:
    said = table([result({"a": [2.5] * 4}, binary=False)], {}, Plan(4, 1))
    assert said.splitlines()[-1].split() == ["a", "4", "100.0%", "2.5", "-"]


def test_large_rewards_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    rewards = {arm: (1e9 + shift + rng.normal(size=2_000)).tolist() for arm, shift in (("a", 0.0), ("b", 1.0))}
    said = table([result(rewards, binary=False)], {}, Plan(4_000, 1))
    for line, shift in zip(said.splitlines()[-2:], (0, 1), strict=True):
        mean, low, high = (float(line.split()[place]) for place in (3, 4, 6))
        assert abs(mean - 1e9 - shift) < 0.1
        assert 0.08 < high - low < 0.1


def test_few_repetitions_come_with_a_warning_and_many_without() -> None:
    for repeat in (5, 30):
        results = [result({"a": [0.0] * pulls, "b": [1.0] * (100 - pulls)}) for pulls in range(1, repeat + 1)]
        said = table(results, {"a": 0.0, "b": 1.0}, Plan(100, 1, repeat))
        assert f"median {'3.0' if repeat == 5 else '15.5'}, 5 % to 95 % of the repetitions: " in said
        assert ("fewer than 30 repetitions" in said) is (repeat == 5)
        assert "95 % interval of the mean" in said
