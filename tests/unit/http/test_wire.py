"""StreamingBandit's JSON, to and from the domain's types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.dialects.streamingbandit.wire import action_answer, draft_of, experiment_row, plan_of, reward_answer
from app.domain.experiment import Experiment
from app.domain.requests import ActionAnswer, RewardAnswer
from app.errors import InvalidParameter

NAMED = {"name": "coin"}


@pytest.mark.parametrize("yes", [True, "True", "true", "y", "yes", " YES "])
@pytest.mark.parametrize("no", [False, "False", "false", "n", "no", "", None])
def test_booleans_of_old_clients_are_text(yes: Any, no: Any) -> None:
    draft, _ = draft_of(NAMED | {"hourly_theta": yes, "advice_id": no})
    assert (draft.hourly_theta, draft.advice_id) == (True, False)


@pytest.mark.parametrize("given", [{"click": 0}, '{"click": 0}', "{'click': 0}"])
def test_a_default_reward_is_an_object_json_or_a_python_dict(given: Any) -> None:
    draft, _ = draft_of(NAMED | {"advice_id": True, "delta_hours": "1.5", "default_reward": given})
    assert (draft.default_reward, draft.delta_hours) == ({"click": 0}, 1.5)


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "name"),
        (NAMED | {"advice_id": True}, "delta_hours"),
        (NAMED | {"advice_id": True, "delta_hours": 1}, "default_reward"),
        (NAMED | {"delta_hours": -1}, "delta_hours"),
        (NAMED | {"delta_hours": "soon"}, "delta_hours"),
        (NAMED | {"hourly_theta": "perhaps"}, "hourly_theta"),
        (NAMED | {"get_action": 7}, "get_action"),
        (NAMED | {"default_reward": "__import__('os')"}, "default_reward"),
        (NAMED | {"default_reward": "{[]: 1}"}, "default_reward"),
        (NAMED | {"default_reward": "-" * 9_000 + "1"}, "default_reward"),
        (NAMED | {"default_reward": "{'n': " + "9" * 5_000 + "}"}, "default_reward"),
        (NAMED | {"delta_hours": "9" * 5_000}, "delta_hours"),
        (NAMED | {"delta_hours": 10**400}, "delta_hours"),
        ({"name": "a\0b"}, "name"),
    ],
)
def test_a_wrong_property_is_named(body: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        draft_of(body)
    assert refused.value.detail["parameter"] == parameter


def test_what_is_not_known_is_ignored() -> None:
    draft, note = draft_of(NAMED | {"id": 7, "created": "today", "note": "n"})
    assert (draft.name, note) == ("coin", "n")


def test_the_default_reward_is_shown_as_json_text() -> None:
    created = datetime(2026, 1, 2, tzinfo=UTC)
    experiment = Experiment(id="1", key="k", owner="ann", created=created, name="coin", default_reward={"click": 0})
    row = experiment_row(experiment)
    assert row["default_reward"] == '{"click": 0}'
    assert (row["id"], row["user_id"], row["created"]) == ("1", "ann", "2026-01-02T00:00:00+00:00")
    assert "owner" not in row


def test_answers_repeat_what_went_in_only_where_they_are_to() -> None:
    action = ActionAnswer({"arm": "a"}, {"n": 1}, None, ["x"])
    assert action_answer(action, debug=False) == {"action": {"arm": "a"}}
    assert action_answer(action, debug=True) == {"action": {"arm": "a"}, "context": {"n": 1, "_debug": ["x"]}}
    reward = RewardAnswer({}, {"arm": "a"}, {"value": 1}, duplicate=True)
    assert reward_answer(reward, debug=False) == {"status": "success", "duplicate": True}


def test_a_simulation_is_asked_for_by_text_or_numbers() -> None:
    plan, verbose = plan_of({"N": "20", "seed": "-3", "verbose": "False", "repeat": ""})
    assert (plan.n, plan.seed, plan.repeat, verbose) == (20, -3, 1, False)
    assert plan_of({"n": 20.0})[0].n == 20


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"N": 0}, "N"),
        ({"n": "many"}, "N"),
        ({"seed": "9" * 5_000}, "seed"),
        ({"repeat": -1}, "repeat"),
        ({"start": "yesterday"}, "start"),
        ({"commit": "perhaps"}, "commit"),
        ({"expected": [1]}, "expected"),
        ({"expected": {"a": 10**400}}, "expected"),
        ({"N": 10**400}, "N"),
    ],
)
def test_a_wrong_parameter_of_a_simulation_is_named(given: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        plan_of(given)
    assert refused.value.detail["parameter"] == parameter
