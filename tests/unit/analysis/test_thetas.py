"""Theta through time: folds, undo and erasure of events, with real policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.analysis.thetas.difference import differences, first_difference
from app.analysis.thetas.fold import Checkpoint, Event, FoldFailed, Theta, fold
from app.analysis.thetas.removal import remove
from policies.discount import DiscountedThompson
from policies.exp3 import EXP3

ROWS = zip(
    "abaabbab",
    (1, 0, 1, 0, 1, 1, 0, 1),
    (0.5, 0.5, 0.6, 0.6, 0.4, 0.4, 0.7, 0.3),
    (1, 2, 1, 3, 2, 4, 3, 1),
    strict=True,
)
EVENTS = [
    Event(seq, "reward", {"arm": arm, "reward": reward, "propensity": p, "person": person})
    for seq, (arm, reward, p, person) in enumerate(ROWS, 1)
]


def learn(policy: type[Any], parameter: float) -> Callable[[Theta, Event], Theta]:
    def apply(theta: Theta, event: Event) -> Theta:
        learning = policy(theta, ["a", "b"], parameter)
        learning.update(event.data["arm"], event.data["reward"], None, event.data["propensity"])
        return learning.get_dict()

    return apply


THOMPSON, EXP = learn(DiscountedThompson, 0.9), learn(EXP3, 0.1)


def thompson(a_n: float, a_sum: float, b_n: float, b_sum: float) -> Theta:
    return {
        "a": pytest.approx({"n": a_n, "sum": a_sum}, rel=1e-9),
        "b": pytest.approx({"n": b_n, "sum": b_sum}, rel=1e-9),
    }


def log_weights(theta: Theta) -> list[float]:
    return [float(theta["log_weights"].get(arm, 0.0)) for arm in ("a", "b")]


def test_theta_of_discounted_thompson_sampling() -> None:
    assert fold(EVENTS, THOMPSON, 8).theta == thompson(2.6248869, 1.0687869, 3.070441, 2.539)
    assert fold(EVENTS, THOMPSON, 5).theta == thompson(2.3661, 1.4661, 1.729, 1)
    undone = remove(EVENTS, THOMPSON, lambda event: 3 <= event.seq <= 4)
    assert undone.theta == thompson(1.49049, 0.59049, 3.1951, 2.539)
    assert (undone.removed, undone.refolded) == (2, 6)
    erased = remove(EVENTS, THOMPSON, lambda event: event.data["person"] == 1)
    assert erased.theta == thompson(1.729, 0, 2.3661, 1.71)


def test_theta_of_exp3() -> None:
    assert log_weights(fold(EVENTS, EXP, 8).theta) == pytest.approx([0.1833333333, 0.4166666667], rel=1e-9)
    undone = remove(EVENTS, EXP, lambda event: 3 <= event.seq <= 4)
    assert log_weights(undone.theta) == pytest.approx([0.1, 0.4166666667], rel=1e-9)
    assert log_weights(remove(EVENTS, EXP, lambda event: event.data["person"] == 1).theta) == pytest.approx(
        [0, 0.25], rel=1e-9
    )


def test_an_erased_person_leaves_the_theta_of_a_world_without_them() -> None:
    world = [event for event in EVENTS if event.data["person"] != 3]
    erased = remove(EVENTS, THOMPSON, lambda event: event.data["person"] == 3)
    assert erased.theta == fold(world, THOMPSON, 8).theta


def test_checkpoints_change_how_much_is_folded_but_not_what_comes_out() -> None:
    checkpoints = [Checkpoint(seq, fold(EVENTS, THOMPSON, seq).theta) for seq in (2, 6)]
    found = fold(EVENTS, THOMPSON, 8, checkpoints)
    assert (found.checkpoint, found.replayed) == (6, 2)
    assert found.theta == fold(EVENTS, THOMPSON, 8).theta
    undone = remove(EVENTS, THOMPSON, lambda event: event.seq == 4, checkpoints)
    plain = remove(EVENTS, THOMPSON, lambda event: event.seq == 4)
    assert undone.theta == plain.theta
    assert [one.seq for one in undone.rebuilt_checkpoints] == [6]
    assert undone.refolded == 5
    kept = [event for event in EVENTS if event.seq != 4]
    assert undone.rebuilt_checkpoints[0].theta == fold(kept, THOMPSON, 6).theta


def test_folding_leaves_the_checkpoint_as_it_was() -> None:
    def grow(theta: Theta, event: Event) -> Theta:
        theta["seen"].append(event.seq)
        return theta

    begin = Checkpoint(0, {"seen": []})
    assert fold(EVENTS, grow, 2, [begin]).theta == {"seen": [1, 2]}
    assert begin.theta == {"seen": []}


def test_removing_nothing_changes_nothing() -> None:
    found = remove(EVENTS, THOMPSON, lambda event: event.seq == 99)
    assert (found.removed, found.changes, found.theta) == (0, (), fold(EVENTS, THOMPSON, 8).theta)
    assert remove([], THOMPSON, lambda event: True).theta == {}


def test_a_reset_stands_when_what_came_before_it_is_undone() -> None:
    def apply(theta: Theta, event: Event) -> Theta:
        return {} if event.kind == "reset" else THOMPSON(theta, event)

    events = [*EVENTS[:4], Event(5, "reset"), *[Event(each.seq + 1, each.kind, each.data) for each in EVENTS[4:]]]
    before = fold(events, apply, 9).theta
    assert remove(events, apply, lambda event: event.seq <= 4).theta == before


def test_an_event_that_cannot_do_without_the_removed_one_is_named() -> None:
    def apply(theta: Theta, event: Event) -> Theta:
        if event.seq == 6:
            theta["a"]["n"]
        return THOMPSON(theta, event)

    with pytest.raises(FoldFailed, match="seq 6") as failed:
        remove(EVENTS, apply, lambda event: event.data["arm"] == "a")
    assert failed.value.seq == 6


def test_differences_say_by_how_much() -> None:
    undone = remove(EVENTS, THOMPSON, lambda event: 3 <= event.seq <= 4)
    change = undone.changes[0]
    assert (change.theta, change.before["n"]) == ("a", pytest.approx(2.6248869))
    assert change.max_abs == pytest.approx(2.6248869 - 1.49049)
    assert change.max_rel == pytest.approx((1.0687869 - 0.59049) / 1.0687869)


@pytest.mark.parametrize(
    ("before", "after", "gaps"),
    [
        ({"a": [1, 2]}, {"a": [1, 4]}, (2.0, 0.5)),
        ({"a": [1]}, {"a": [1, 2]}, (None, None)),
        ({"a": 1}, {}, (None, None)),
        ({"a": True}, {"a": 1}, (None, None)),
        ({"a": {"x": "k", "n": 1}}, {"a": {"x": "k", "n": 2}}, (1.0, 0.5)),
        ({"a": {"x": "k"}}, {"a": {"x": "l"}}, (None, None)),
    ],
)
def test_only_numbers_have_a_distance(before: Theta, after: Theta, gaps: tuple[float | None, float | None]) -> None:
    found = list(differences(before, after))
    assert [(change.max_abs, change.max_rel) for change in found] == [gaps]
    assert first_difference(before, after) == "a"
    assert first_difference(before, before) is None
