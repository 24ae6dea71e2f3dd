"""Every reward counts exactly once, whoever sends it, through whichever server, however often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.load import hammer, path
from tests.servers import COUNTING, Experiment, Researcher, Server

ADVISED = {**COUNTING, "advice_id": True, "delta_hours": 24, "default_reward": {"value": 0}}


@pytest.mark.parametrize("count", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_thousands_of_rewards_through_two_servers_some_sent_twice_or_with_another_value_count_once(
    start: Callable[..., Server], tmp_path: Path, count: int
) -> None:
    """A tenth is sent twice, a hundredth with another value as well; a fifth comes without an advice."""
    folder = tmp_path / "shared"
    one, two = start(embedded=folder), start(embedded=folder)
    with one.researcher() as researcher:
        experiment = researcher.create(**ADVISED)
        advices = given_advices(experiment, count)
        sent: list[tuple[int, int]] = [(i, 0) for i in range(count)]
        sent += [(i, 0) for i in range(0, count, 10)] + [(i, 1) for i in range(1, count, 100)]
        Random(5).shuffle(sent)
        calls = [
            path("setreward", experiment.id, experiment.key, **about(i, advices), reward={"i": i, "value": value})
            for i, value in sent
        ]
        answers = hammer([one.url, two.url], calls, clients=64)
        theta, summary = experiment.theta(), experiment.summary()
        with MongoClient[dict[str, Any]](one.mongo_uri) as client:
            rows = list(client["thetaloop"].rewards.find({"exp_id": experiment.id}))
    assert {answer.status for answer in answers} == {200, 409}, {answer.content for answer in answers}
    accepted = {row["reward"]["i"]: row["reward"]["value"] for row in rows}
    assert len(rows) == count == len(accepted) == summary["set_reward_calls"]
    assert sorted(row["seq"] for row in rows) == list(range(1, count + 1))
    assert theta == {f"arm:{arm}": {"n": sum(row["action"]["arm"] == arm for row in rows)} for arm in "ab"}
    told = list(zip(sent, answers, strict=True))
    assert [answer.status for _, answer in told] == [200 if accepted[i] == value else 409 for (i, value), _ in told]
    assert sorted(i for (i, _), answer in told if answer.json == {"status": "success"}) == list(range(count))
    again = sorted(i for (i, _), answer in told if answer.json == {"status": "success", "duplicate": True})
    assert again == list(range(0, count, 10))


def given_advices(experiment: Experiment, count: int) -> list[str]:
    """So many advices."""
    advices: list[str] = []
    while len(advices) < count:
        answer = experiment.post("getaction", "batch", items=[{}] * min(500, count - len(advices)))
        advices += [item["advice_id"] for item in answer.json()["items"]]
    return advices


def about(i: int, advices: list[str]) -> dict[str, Any]:
    """What the i-th reward is for."""
    return {"context": {}, "action": {"arm": "a"}} if i % 5 == 4 else {"advice_id": advices[i]}


def test_an_advice_rewarded_by_many_at_once_through_two_servers_counts_once(
    start: Callable[..., Server], database: Database[dict[str, Any]]
) -> None:
    one, two = start(), start()
    with one.researcher() as researcher:
        experiment = researcher.create(**ADVISED)
        advices = [experiment.get_action().json()["advice_id"] for _ in range(10)]
        calls = [
            path("setreward", experiment.id, experiment.key, advice_id=advice, reward={"value": 1})
            for _ in range(12)
            for advice in advices
        ]
        answers = hammer([one.url, two.url], calls, clients=40)
        assert {answer.status for answer in answers} == {200}
        assert sum("duplicate" not in answer.json for answer in answers) == len(advices)
        assert sum(theta["n"] for theta in experiment.theta().values()) == len(advices)
    assert database.rewards.count_documents({"exp_id": experiment.id}) == len(advices)


def test_of_many_different_rewards_for_one_advice_one_is_accepted_and_stays(researcher: Researcher) -> None:
    experiment = researcher.create(**ADVISED)
    advice = experiment.get_action().json()["advice_id"]
    calls = [
        path("setreward", experiment.id, experiment.key, advice_id=advice, reward={"value": value})
        for value in range(30)
    ]
    answers = hammer([str(researcher.http.base_url)], calls, clients=30)
    assert sorted(answer.status for answer in answers) == [200] + [409] * 29
    accepted = next(value for value, answer in enumerate(answers) if answer.status == 200)
    again = experiment.set_reward(advice_id=advice, reward={"value": accepted})
    assert again.json() == {"status": "success", "duplicate": True}
    assert sum(theta["n"] for theta in experiment.theta().values()) == 1


def test_a_retry_is_known_whatever_the_order_of_keys_and_the_kind_of_number(researcher: Researcher) -> None:
    experiment = researcher.create(**ADVISED)
    advice = experiment.get_action().json()["advice_id"]
    assert experiment.set_reward(advice_id=advice, reward='{"value": 1, "more": [true]}').json() == {
        "status": "success"
    }
    assert experiment.set_reward(advice_id=advice, reward='{"more": [true], "value": 1.0}').json()["duplicate"]
    assert experiment.set_reward(advice_id=advice, reward='{"more": [1], "value": 1}').status_code == 409


def test_without_an_advice_each_call_counts(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    for _ in range(3):
        assert experiment.set_reward(context={}, action={"arm": "a"}, reward={}).json() == {"status": "success"}
    assert experiment.theta() == {"arm:a": {"n": 3}}


def test_the_advice_decides_if_an_action_comes_with_it(researcher: Researcher) -> None:
    experiment = researcher.create(**ADVISED)
    decided = experiment.get_action().json()
    experiment.set_reward(advice_id=decided["advice_id"], action={"arm": "another"}, reward={"value": 1})
    assert experiment.theta() == {f"arm:{decided['action']['arm']}": {"n": 1}}


def test_advices_of_another_experiment_or_of_nobody_are_unknown(researcher: Researcher) -> None:
    mine, theirs = researcher.create(**ADVISED), researcher.create(**ADVISED)
    foreign = theirs.get_action().json()["advice_id"]
    for advice in (foreign, "0" * 32, "nonsense"):
        answer = mine.set_reward(advice_id=advice, reward={"value": 1})
        assert answer.status_code == 404
        assert advice in answer.json()["error"]["message"]
    assert theirs.set_reward(advice_id=foreign, reward={"value": 1}).json() == {"status": "success"}


def test_an_experiment_without_advices_says_so(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    answer = experiment.set_reward(advice_id="0" * 32, reward={})
    assert answer.status_code == 400
    assert "gives no advice ids" in answer.json()["error"]["message"]


def test_every_answered_getaction_is_in_the_action_log(
    researcher: Researcher, database: Database[dict[str, Any]]
) -> None:
    experiment = researcher.create(**ADVISED)
    calls = [path("getaction", experiment.id, experiment.key, context={"i": i}) for i in range(500)]
    answers = hammer([str(researcher.http.base_url)], calls)
    rows = {row["_id"]: row for row in database.decisions.find({"exp_id": experiment.id})}
    assert len(rows) == 500 == experiment.summary()["get_action_calls"]
    for i, answer in enumerate(answers):
        row = rows[answer.json["advice_id"]]
        assert row["context"] == {"i": i}
        assert row["action"] == answer.json["action"]
        assert row["propensity"] == 0.5
