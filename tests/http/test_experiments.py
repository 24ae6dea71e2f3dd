"""Experiments from creation to archive, as StreamingBandit's clients handle them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from tests.servers import COUNTING, Researcher, Server

OPTIONS = {"hourly_theta": True, "advice_id": True, "delta_hours": 1.5, "default_reward": {"value": 0}}


def test_what_was_created_can_be_read_back(researcher: Researcher) -> None:
    experiment = researcher.create("mine", **COUNTING, **OPTIONS)
    row = researcher.http.get(f"/exp/{experiment.id}").json()
    assert {name: row[name] for name in COUNTING} == COUNTING
    assert row["name"] == "mine"
    assert row["key"] == experiment.key
    assert row["user_id"] == researcher.name
    assert row["revision"] == 1
    assert (row["hourly_theta"], row["advice_id"], row["delta_hours"]) == (True, True, 1.5)
    assert row["default_reward"] == '{"value": 0}'
    assert researcher.http.get("/exp").json() == {experiment.id: row}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"advice_id": "True", "delta_hours": "24", "default_reward": "{'value': 0}"}, (True, 24, '{"value": 0}')),
        ({"advice_id": "y", "delta_hours": "0.5", "default_reward": '{"value": 1}'}, (True, 0.5, '{"value": 1}')),
        ({"advice_id": "no", "unknown": 1, "_sort": "id"}, (False, 0, "{}")),
        ({"advice_id": "False", "delta_hours": "", "default_reward": ""}, (False, 0, "{}")),
    ],
)
def test_old_clients_may_send_text_for_booleans_numbers_and_dicts(
    researcher: Researcher, given: dict[str, Any], expected: tuple[bool, float, str]
) -> None:
    experiment = researcher.create(**given)
    row = researcher.http.get(f"/exp/{experiment.id}").json()
    assert (row["advice_id"], row["delta_hours"], row["default_reward"]) == expected


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "x\ny"}, "name"),
        ({"name": "x", "get_action": 5}, "get_action"),
        ({"name": "x", "advice_id": "perhaps"}, "advice_id"),
        ({"name": "x", "advice_id": True, "default_reward": {}}, "delta_hours"),
        ({"name": "x", "advice_id": True, "delta_hours": 1}, "default_reward"),
        ({"name": "x", "delta_hours": -1}, "delta_hours"),
        ({"name": "x", "delta_hours": 100_000}, "delta_hours"),
        ({"name": "x", "delta_hours": "soon"}, "delta_hours"),
        ({"name": "x", "default_reward": "[1]"}, "default_reward"),
        ({"name": "x", "default_reward": {"x": 2**64}}, "default_reward"),
    ],
)
def test_a_property_of_the_wrong_kind_is_named(researcher: Researcher, body: dict[str, Any], named: str) -> None:
    answer = researcher.http.post("/exp", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"]["parameter"] == named


def test_a_name_is_used_once_by_each_user(researcher: Researcher, other: Researcher) -> None:
    researcher.create("taken")
    assert researcher.http.post("/exp", json={"name": "taken"}).status_code == 400
    other.create("taken")
    second = researcher.create("second")
    assert researcher.http.put(f"/exp/{second.id}", json={"name": "taken"}).status_code == 400


def test_a_replaced_experiment_keeps_theta_and_its_old_scripts(researcher: Researcher) -> None:
    experiment = researcher.create("mine", **COUNTING)
    experiment.set_reward(context={}, action={"arm": "a"}, reward={})
    row = researcher.http.get(f"/exp/{experiment.id}").json()
    edited = row | {"get_action": "self.action['arm'] = 'c'", "note": "always c", "created": "ignored"}
    assert researcher.http.put(f"/exp/{experiment.id}", json=edited).json() == {"id": experiment.id}
    assert experiment.get_action().json() == {"action": {"arm": "c"}}
    assert experiment.theta() == {"arm:a": {"n": 1}}
    revisions = researcher.http.get(f"/exp/{experiment.id}/revisions").json()
    assert [(row["revision"], row["user"], row["note"]) for row in revisions] == [
        (2, researcher.name, "always c"),
        (1, researcher.name, ""),
    ]
    first = researcher.http.get(f"/exp/{experiment.id}/revisions/1").json()
    assert first["get_action"] == COUNTING["get_action"]
    assert researcher.http.get(f"/exp/{experiment.id}/revisions/3").status_code == 404


def test_a_restored_revision_is_a_new_one(researcher: Researcher) -> None:
    experiment = researcher.create(get_action="self.action['n'] = 1")
    researcher.http.put(f"/exp/{experiment.id}", json={"name": "n", "get_action": "self.action['n'] = 2"})
    assert experiment.get_action().json() == {"action": {"n": 2}}
    restored = researcher.http.post(f"/exp/{experiment.id}/revisions/1/restore")
    assert restored.json() == {"id": experiment.id, "revision": 3}
    assert experiment.get_action().json() == {"action": {"n": 1}}
    assert [row["revision"] for row in experiment.stats("actionlog")] == [3, 2]


def test_a_reset_deletes_all_thetas_or_those_of_a_key_or_one(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    for arm in ("1", "10", "2"):
        experiment.set_reward(context={}, action={"arm": arm}, reward={})

    def reset(**parameters: str) -> Any:
        answer = researcher.http.get(
            f"/exp/{experiment.id}/resetexperiment", params={"key": experiment.key} | parameters
        )
        return answer.json() if answer.status_code == 200 else answer.status_code

    assert reset(theta_key="arm", theta_value="1") == {"status": "success", "deleted": 1}
    assert experiment.theta() == {"arm:10": {"n": 1}, "arm:2": {"n": 1}}
    assert reset(theta_key="arm", theta_value="1") == 401
    assert reset(theta_key="nothing") == 401
    assert reset(key="wrong") == 401
    assert reset(theta_key="arm") == {"status": "success", "deleted": 2}
    experiment.set_reward(context={}, action={"arm": "1"}, reward={})
    assert experiment.theta() == {"arm:1": {"n": 1}}
    assert reset() == {"status": "success", "deleted": 1}
    assert experiment.theta() == {}
    experiment.set_reward(context={}, action={"arm": "1"}, reward={})
    assert experiment.theta() == {"arm:1": {"n": 1}}
    assert len(experiment.stats("rewardlog")) == 5


def test_another_site_cannot_make_a_browser_reset(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    url, key = f"/exp/{experiment.id}/resetexperiment", {"key": experiment.key}
    for site in ("cross-site", "same-site"):
        assert researcher.http.get(url, params=key, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert researcher.http.get(url, params=key, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_deleted_experiment_is_gone_at_once_and_kept_in_the_archive(
    start: Callable[..., Server], alone: Database[dict[str, Any]]
) -> None:
    server = start(**{"mongodb.database": alone.name, "jobs.purge_seconds": 0.1, "jobs.purge_after_seconds": 0})
    with server.researcher() as researcher:
        experiment = researcher.create("mine", **COUNTING, **OPTIONS)
        advice = experiment.get_action().json()["advice_id"]
        experiment.set_reward(advice_id=advice, reward={"value": 1})
        answer = researcher.http.delete(f"/exp/{experiment.id}")
        assert answer.json() == experiment.id
        assert experiment.get_action().status_code == 401
        assert researcher.http.get(f"/exp/{experiment.id}").status_code == 401
        assert researcher.http.get("/exp").json() == {}
        researcher.create("mine")

    def purged() -> bool:
        return alone.heads.count_documents({"_id": experiment.id}) == 0

    server.wait_until(purged)
    rows = list(alone.archive.find({"exp_id": experiment.id}))
    assert {row["collection"] for row in rows} == {
        "experiments", "revisions", "heads", "decisions", "rewards", "theta",
    }  # fmt: skip
    for collection in ("decisions", "rewards", "theta", "revisions"):
        assert alone[collection].count_documents({"exp_id": experiment.id}) == 0


def test_whoever_insists_on_a_revision_overwrites_no_other(researcher: Researcher) -> None:
    experiment = researcher.create()

    def put(note: str, tag: str) -> httpx.Response:
        body = {"name": "mine", "note": note}
        return researcher.http.put(f"/exp/{experiment.id}", json=body, headers={"If-Match": tag})

    assert researcher.http.get(f"/exp/{experiment.id}").headers["ETag"] == '"1"'
    assert put("second", '"1"').headers["ETag"] == '"2"'
    late = put("third", '"1"')
    assert (late.status_code, late.json()["error"]["detail"]) == (412, {"revision": 2})
    assert put("third", "2").status_code == 200
    assert put("fourth", "*").headers["ETag"] == '"4"'
    assert put("fifth", "x").status_code == 400
    notes = [row["note"] for row in researcher.http.get(f"/exp/{experiment.id}/revisions").json()]
    assert notes == ["fourth", "third", "second", ""]


def test_scripts_are_checked_without_being_stored(researcher: Researcher) -> None:
    answer = researcher.http.post("/exp/check", json={"scripts": {"get_action": "x = 1\ny = (", "set_reward": "x"}})
    (error,) = [error for error in answer.json()["errors"] if error["script"] == "get_action"]
    assert (error["line"], error["column"]) == (2, 5)
    assert "never closed" in error["message"]
    assert researcher.http.get("/exp").json() == {}


def test_the_ready_made_experiments_have_their_pinned_ids(researcher: Researcher) -> None:
    titles = researcher.http.get("/exp/defaults").json()
    assert titles["0"] == "AB Test"
    assert titles["3"] == "E-Greedy"
    assert titles["11"] == "Thompson Sampling K-Armed Bernoulli"
    default = researcher.http.get("/exp/defaults/11").json()
    assert default.keys() >= {"name", "get_context", "get_action", "get_reward", "set_reward", "summary"}
    assert researcher.http.get("/exp/defaults/99").status_code == 404
    assert researcher.http.get("/exp/defaults/x").status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_users_experiment_is_as_if_it_did_not_exist(
    researcher: Researcher, other: Researcher, method: str
) -> None:
    experiment = researcher.create()
    foreign = other.http.request(method, f"/exp/{experiment.id}", json={"name": "x"})
    missing = other.http.request(method, "/exp/nothing", json={"name": "x"})
    assert foreign.status_code == missing.status_code == 401
    assert foreign.text.replace(experiment.id, "nothing") == missing.text
    for path in ("revisions", "revisions/1", "resetexperiment?key=x"):
        assert other.http.get(f"/exp/{experiment.id}/{path}").status_code == 401
    assert other.http.post(f"/exp/{experiment.id}/revisions/1/restore").status_code == 401
