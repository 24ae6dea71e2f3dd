"""Advices that nobody rewards in time: each ends rewarded once or defaulted once, whoever races whom."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from tests.load import hammer, path
from tests.servers import COUNTING, Experiment, Server

SOON = 1 / 3600  # a second, in hours
ADVISING = COUNTING | {"advice_id": True, "delta_hours": SOON, "default_reward": {"value": 0}}


@pytest.fixture
def servers(start: Callable[..., Server], alone: Database[dict[str, Any]]) -> list[Server]:
    """Two servers on one database that look for time-outs five times a second."""
    settings = {"mongodb.database": alone.name, "jobs.timeout_check_seconds": 0.2}
    return [start(**settings), start(**settings)]


def statuses(experiment: Experiment) -> Counter[str]:
    return Counter(row["status"] for row in experiment.stats("actionlog"))


def test_an_advice_that_waits_too_long_gets_its_default_reward(servers: list[Server]) -> None:
    with servers[0].researcher() as researcher:
        experiment = researcher.create(**ADVISING)
        advice = experiment.get_action().json()["advice_id"]
        (row,) = experiment.wait_for("rewardlog")
        assert (row["advice_id"], row["reward"], row["default"]) == (advice, {"value": 0}, True)
        assert statuses(experiment) == {"defaulted": 1}
        assert sum(theta["n"] for theta in experiment.theta().values()) == 1
        late = experiment.set_reward(advice_id=advice, reward={"value": 1})
        assert late.status_code == 410
        assert experiment.summary()["set_reward_calls"] == 1


def test_the_default_is_the_one_that_held_when_the_advice_was_given(servers: list[Server]) -> None:
    with servers[0].researcher() as researcher:
        experiment = researcher.create("frozen", **ADVISING | {"default_reward": {"value": 7}})
        experiment.get_action()
        researcher.http.put(f"/exp/{experiment.id}", json={"name": "frozen", **COUNTING})
        assert experiment.wait_for("rewardlog")[0]["reward"] == {"value": 7}


def test_no_hours_mean_no_time_out(servers: list[Server], alone: Database[dict[str, Any]]) -> None:
    with servers[0].researcher() as researcher:
        for_ever = researcher.create(**ADVISING | {"delta_hours": 0})
        advice = for_ever.get_action().json()["advice_id"]
        assert alone.decisions.find_one({"_id": advice}, {"expires_at": 1}) == {"_id": advice}
        soon = researcher.create(**ADVISING)
        soon.get_action()
        soon.wait_for("rewardlog")  # the job has run by then
        assert for_ever.set_reward(advice_id=advice, reward={"value": 1}).json() == {"status": "success"}


def test_state_decides_and_not_the_clock(start: Callable[..., Server], alone: Database[dict[str, Any]]) -> None:
    server = start(**{"mongodb.database": alone.name, "jobs.timeout_check_seconds": 1000})
    with server.researcher() as researcher:
        experiment = researcher.create(**ADVISING)
        advice = experiment.get_action().json()["advice_id"]
        over = datetime.now(UTC) - timedelta(hours=1)
        alone.decisions.update_one({"_id": advice}, {"$set": {"expires_at": over}})
        assert experiment.set_reward(advice_id=advice, reward={"value": 1}).json() == {"status": "success"}


def test_a_default_whose_script_raises_is_given_up_with_an_error(servers: list[Server]) -> None:
    with servers[0].researcher() as researcher:
        failing = "if self.reward['value'] == 0: raise ValueError('no default here')"
        experiment = researcher.create(**ADVISING | {"set_reward": failing})
        experiment.get_action()
        (row,) = experiment.wait_for("errors")
        assert row["message"] == "ValueError: no default here"
        servers[0].wait_until(lambda: statuses(experiment) == {"timeout_failed": 1})
        assert experiment.stats("rewardlog") == []


def test_a_decision_whose_default_failed_still_takes_its_reward(servers: list[Server]) -> None:
    with servers[0].researcher() as researcher:
        reads = COUNTING["set_reward"] + "self.set_theta({'sum': self.reward['revenue']}, 'revenue')\n"
        experiment = researcher.create(**ADVISING | {"set_reward": reads, "default_reward": {"value": 0}})
        advice = experiment.get_action().json()["advice_id"]
        servers[0].wait_until(lambda: statuses(experiment) == {"timeout_failed": 1})
        given = {"advice_id": advice, "reward": {"revenue": 5}}
        assert experiment.set_reward(**given).json() == {"status": "success"}
        assert experiment.set_reward(**given).json() == {"status": "success", "duplicate": True}
        assert experiment.set_reward(advice_id=advice, reward={"revenue": 6}).status_code == 409
        assert statuses(experiment) == {"rewarded": 1}
        assert experiment.theta()["revenue"] == {"sum": 5}
        assert experiment.summary()["set_reward_calls"] == 1


def race(servers: list[Server], experiment: Experiment, advices: list[str]) -> list[int]:
    """Reward every advice at both servers just when it times out; the status codes."""
    paths = [path("setreward", experiment.id, experiment.key, advice_id=a, reward={"value": 1}) for a in advices * 2]
    return [answer.status for answer in hammer([server.url for server in servers], paths, clients=16)]


def check_each_ended_once(experiment: Experiment, advices: list[str]) -> Counter[str]:
    """Every advice has one reward, and the logs and theta agree on which."""
    rows = experiment.wait_for("rewardlog", rows=len(advices), seconds=60)
    assert sorted(row["advice_id"] for row in rows) == sorted(advices)
    defaulted = {row["advice_id"] for row in rows if row.get("default")}
    for row in experiment.stats("actionlog"):
        assert row["status"] == ("defaulted" if row["advice_id"] in defaulted else "rewarded")
    assert sum(theta["n"] for theta in experiment.theta().values()) == len(advices)
    assert experiment.summary()["set_reward_calls"] == len(advices)
    return statuses(experiment)


def test_real_rewards_race_time_outs_on_two_servers(servers: list[Server]) -> None:
    with servers[0].researcher() as researcher:
        experiment = researcher.create(**ADVISING)
        items = experiment.post("getaction", "batch", items=[{}] * 300).json()["items"]
        advices = [item["advice_id"] for item in items]
        servers[0].wait_until(lambda: len(experiment.stats("rewardlog", limit=1)) == 1)  # time-outs have begun
        answers = race(servers, experiment, advices)
        assert set(answers) <= {200, 410}
        ended = check_each_ended_once(experiment, advices)
        assert ended["defaulted"] > 0


@pytest.mark.slow
def test_time_outs_survive_the_death_of_the_server_that_runs_them(
    servers: list[Server], start: Callable[..., Server]
) -> None:
    with servers[1].researcher() as researcher:
        experiment = researcher.create(**ADVISING)
        items = experiment.post("getaction", "batch", items=[{}] * 400).json()["items"]
        advices = [item["advice_id"] for item in items]
        racing = threading.Thread(target=race, args=(servers[1:], experiment, advices[::4]))
        servers[0].wait_until(lambda: len(experiment.stats("rewardlog", limit=1)) == 1)
        servers[0].kill()  # the first to start leads
        racing.start()
        racing.join()
        check_each_ended_once(experiment, advices)
