"""From rows to columns: arms, probabilities, and which rows count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.analysis.ope.options import OffPolicyOptions
from app.analysis.options import RewardOption, options_of
from app.analysis.reading import ReadOptions, read
from app.analysis.rows import JoinedRow, row_of, rows_of

HALF = {"a": 0.5, "b": 0.5}


def row(arm: str = "a", **changes: Any) -> JoinedRow:
    document = {"context": {}, "action": {"arm": arm}, "propensity": 0.5, "pmf": HALF, "reward": 1}
    return row_of({**document, **changes}, 1)


# Arms and probabilities ---------------------------------------------------------------------------------------------


def test_the_arm_is_the_field_that_the_pmf_speaks_of() -> None:
    rows = [row("a", action={"arm": "a", "text": "b"}), row("b", action={"arm": "b", "text": "x"})]
    found = read(rows)
    assert found.log.arms == ("a", "b")
    assert found.log.chosen.tolist() == [0, 1]
    assert found.log.pmf is not None


def test_without_pmf_the_arm_is_the_action_without_its_propensity() -> None:
    found = read([row(pmf=None, action={"y": 1, "x": [2], "propensity": 0.5}), row(pmf=None)])
    assert found.log.arms == ('{"arm":"a"}', '{"x":[2],"y":1}')
    assert found.log.pmf is None


def test_arms_that_are_numbers_are_named_as_policies_name_them() -> None:
    found = read([row(action={"arm": 1}, pmf={"1": 0.5, "2": 0.5})])
    assert found.log.arms == ("1", "2")


@pytest.mark.parametrize(
    "pmf", [{"a": 0.5, "b": 0.4}, {"a": 0.4, "b": 0.6}, {"a": 0.5, "b": "0.5"}, {"a": 1.5, "b": -0.5}]
)
def test_a_pmf_that_contradicts_itself_or_the_propensity_is_dropped_and_counted(pmf: dict[str, Any]) -> None:
    found = read([row(), row(pmf=pmf)], ReadOptions(action_key="arm"))
    assert (found.log.pmf, found.pmf_missing, len(found.log)) == (None, 1, 2)


def test_arms_that_were_not_offered_are_known() -> None:
    found = read([row(), row(pmf={"a": 0.5, "b": 0.25, "c": 0.25})])
    assert found.log.offered is not None
    assert found.log.offered.tolist() == [[True, True, False], [True, True, True]]
    assert found.log.pmf is not None
    assert found.log.pmf[0].tolist() == [0.5, 0.5, 0.0]


def test_a_field_that_several_actions_share_sums_their_pmf() -> None:
    pmf = {'{"arm":"a","policy":1}': 0.3, '{"arm":"a","policy":2}': 0.2, '{"arm":"b","policy":1}': 0.5}
    rows = [
        row(action={"arm": "a", "policy": 1}, propensity=0.3, pmf=pmf),
        row(action={"arm": "a", "policy": 2}, propensity=0.2, pmf=pmf),
    ]
    found = read(rows, ReadOptions(action_key="arm"))
    assert found.log.propensity.tolist() == [0.5, 0.5]
    assert not found.coarse
    without = read([row(action=each.action, propensity=0.3, pmf=None) for each in rows], ReadOptions(action_key="arm"))
    assert without.coarse


def test_a_candidate_may_be_given_by_row() -> None:
    found = read([row(candidate={"a": 0.25, "c": 0.75}), row(candidate={"b": 1})])
    assert found.log.arms == ("a", "b", "c")
    assert found.candidate is not None
    assert found.candidate.tolist() == [[0.25, 0, 0.75], [0, 1, 0]]
    assert read([row(candidate={"a": 1}), row()]).candidate is None


# Which rows count ---------------------------------------------------------------------------------------------------


def test_rows_without_a_usable_propensity_are_left_out_by_reason() -> None:
    found = read([row(), row(propensity=None), row(propensity=1.5), row(propensity=0, pmf=None), row(status="undone")])
    assert len(found.log) == 1
    assert found.excluded == {"no_propensity": 2, "zero_propensity": 1, "undone": 1}


def test_young_rows_do_not_count_rewarded_or_not() -> None:
    rows = [row(date=f"2026-01-01T{hour:02}:00:00Z", reward=reward) for hour, reward in ((0, 1), (6, None), (11, 1))]
    found = read(rows, ReadOptions(window=6, as_of="2026-01-01T12:00:00"))
    assert (len(found.log), found.excluded) == (2, {"immature": 1})
    assert np.isnan(found.log.reward[1])
    assert len(read(rows, ReadOptions(window=12)).log) == 0
    with pytest.raises(ValueError, match="window"):
        read([row()], ReadOptions(window=1))


def test_only_first_decisions_of_sticky_units_count() -> None:
    rows = [row(context={"user": {"id": who}}) for who in ("p", "q", "p")]
    found = read(rows, ReadOptions(unit="context.user.id", sticky=True))
    assert (len(found.log), found.excluded) == (2, {"sticky": 1})
    assert found.log.unit is not None
    assert found.log.unit.tolist() == [0, 1]


def test_dates_and_revisions_choose_rows() -> None:
    rows = [row(date=f"2026-01-0{day}", revision=day) for day in (1, 2, 3)]
    assert len(read(rows, ReadOptions(from_="2026-01-02", to="2026-01-03")).log) == 1
    assert len(read(rows, ReadOptions(revisions=[1, 3])).log) == 2
    with pytest.raises(ValueError, match="from"):
        read([row()], ReadOptions(from_="2026-01-02"))


def test_rewards() -> None:
    rows = [row(reward={"value": 2, "other": 5}), row(reward=[1, 0, 1]), row(reward=None), row("b", default=True)]
    found = read([*rows, row(reward=1, status="timeout_failed")], ReadOptions(reward=RewardOption("value", -5, 5)))
    assert found.log.reward[:2].tolist() == [2, 2]
    assert found.log.missing.tolist() == [False, False, True, False, True]
    assert found.arrived.tolist() == [True, True, False, False, False]
    assert found.defaults == {"b": 1}
    with pytest.raises(ValueError, match="reward"):
        read([row(reward="much")])
    with pytest.raises(ValueError, match=r"reward.*row 1 .*lo"):
        read([row(), row(reward=7)], ReadOptions(reward=RewardOption(lo=0, hi=1)))


def test_columns_of_the_context() -> None:
    rows = [row(context={"x": 1, "y": {"z": "k"}}), row(context={"x": 2.5})]
    found = read(rows, None, ["x", "y.z"]).log.context
    assert found["x"].tolist() == [1.0, 2.5]
    assert found["y.z"].tolist() == ["k", None]


# Errors that name what is wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (3, "row 2"),
        ({}, "action"),
        ({"action": 3}, "action"),
        ({"action": {}, "pmf": [1]}, "pmf"),
        ({"action": {}, "date": "yesterday"}, "date"),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_name(document: Any, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        rows_of([{"action": {}}, document])


@pytest.mark.parametrize(
    ("kind", "document", "name"),
    [
        (ReadOptions, {"windw": 3}, "windw"),
        (ReadOptions, {"window": "3"}, "window"),
        (ReadOptions, {"window": -3}, "window"),
        (ReadOptions, {"sticky": True}, "unit"),
        (ReadOptions, {"sticky": 1, "unit": "u"}, "sticky"),
        (ReadOptions, {"revisions": 3}, "revisions"),
        (ReadOptions, {"reward": {"lo": 1, "hi": 0}}, "lo"),
        (ReadOptions, {"reward": {"lo": 0}}, "hi"),
        (ReadOptions, {"reward": {"low": 0}}, "reward.low"),
        (ReadOptions, {"reward": 3}, "reward"),
        (OffPolicyOptions, {"features": "x"}, "features"),
        (OffPolicyOptions, {"features": [1]}, "features"),
        (OffPolicyOptions, {"blocks": 2.5}, "blocks"),
        (OffPolicyOptions, {"seed": True}, "seed"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(kind: type, document: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        options_of(kind, document)


def test_options_take_numbers_texts_and_null() -> None:
    found = options_of(OffPolicyOptions, {"tau": 5, "clip": None, "features": ["x"], "level": None})
    assert (found.tau, found.clip, found.features, found.level) == (5.0, None, ("x",), 0.95)
    assert options_of(OffPolicyOptions, {"tau": "auto"}).tau == "auto"
