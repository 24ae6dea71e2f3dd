"""Every reward counts exactly once, whoever sends it, through whichever server, however often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from tests.load import hammer, path
from tests.servers import COUNTING, Researcher, Server

ADVISED = {**COUNTING, "advice_id": True, "delta_hours": 24, "default_reward": {"value": 0}}


def test_five_thousand_rewards_through_two_servers_on_one_data_folder_count_five_thousand(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    one, two = start(embedded=folder), start(embedded=folder)
    with one.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        calls = [
            path("setreward", experiment.id, experiment.key, context={}, action={"arm": "ab"[i % 2]}, reward={"i": i})
            for i in range(5_000)
        ]
        answers = hammer([one.url, two.url], calls, clients=64)
        assert {answer.status for answer in answers} == {200}
        assert experiment.theta() == {"arm:a": {"n": 2_500}, "arm:b": {"n": 2_500}}
        assert experiment.summary()["set_reward_calls"] == 5_000
        with MongoClient[dict[str, Any]](one.mongo_uri) as client:
            rows = list(client["thetaloop"].rewards.find({"exp_id": experiment.id}))
    assert sorted(row["reward"]["i"] for row in rows) == list(range(5_000))
    assert sorted(row["seq"] for row in rows) == list(range(1, 5_001))


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
