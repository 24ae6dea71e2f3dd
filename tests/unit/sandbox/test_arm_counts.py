"""Arms in simulations: names are whole, memory is bounded, and rewards are counted without losing digits."""

from __future__ import annotations

from app.sandbox.protocol import ARM_NAMES_LIMIT, ARMS
from app.sandbox.worker.arm_counts import OTHER_ARMS, ArmCounts


def test_long_names_that_differ_at_their_end_are_two_arms() -> None:
    counts = ArmCounts()
    names = ["A headline of more than a hundred characters " * 3 + end for end in ("first", "second")]
    for name in names:
        for _ in range(100):
            counts.add({"arm": name}, {"value": 1})
    assert [(arm.name, arm.pulls) for arm in counts.arms] == [(name, 100) for name in names]


def test_actions_without_an_arm_are_told_apart_by_all_of_their_text() -> None:
    counts = ArmCounts()
    for price in (1, 2):
        counts.add({"text": "x" * 200, "price": price}, {})
    assert len(counts.arms) == 2


def test_beyond_the_bounds_arms_are_counted_together() -> None:
    many, long = ArmCounts(), ArmCounts()
    for number in range(300):
        many.add({"arm": str(number)}, {})
        long.add({"arm": f"{number:03d}" + "x" * (ARM_NAMES_LIMIT // 10)}, {})
    assert len(many.arms) == ARMS
    assert (many.arms[-1].name, many.arms[-1].pulls) == (OTHER_ARMS, 300 - (ARMS - 1))
    assert len(long.arms) == 9 + 1
    assert sum(len(arm.name) for arm in long.arms) <= ARM_NAMES_LIMIT
    assert long.point(300).pulls[-1] == 300 - 9


def test_rewards_are_binary_only_while_all_are_0_or_1() -> None:
    counts = ArmCounts()
    for value in (0, 1, True, 1.0):
        counts.add({"arm": "a"}, {"value": value})
    counts.add({"arm": "a"}, {"text": "no number"})
    (arm,) = counts.arms
    assert (arm.pulls, arm.rewards, arm.mean, arm.binary) == (5, 4, 0.75, True)
    counts.add({"arm": "a"}, {"value": 0.5})
    assert counts.arms[0].binary is False
