"""Edits, resets and deletes under load from two servers: nothing acknowledged is lost to them unrecorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.load import SteadyLoad, path
from tests.servers import COUNTING, Experiment, Server

# How many rewards come before and after the change, at least.
SOME = 200
# Counts in the theta of the revision that ran, so that the log can be held against it.
EDITED = COUNTING["set_reward"].replace("'arm', arm", "'edited', arm")


@pytest.fixture
def servers(start: Callable[..., Server]) -> list[Server]:
    return [start(), start()]


def rewards(servers: list[Server], experiment: Experiment) -> SteadyLoad:
    """Rewards from 32 clients at both servers, until the block is left."""

    def one(number: int) -> str:
        given = {"context": {}, "action": {"arm": "a"}, "reward": {"value": number}}
        return path("setreward", experiment.id, experiment.key, **given)

    return SteadyLoad([server.url for server in servers], one)


def test_an_edit_takes_effect_between_two_rewards(servers: list[Server], database: Database[dict[str, Any]]) -> None:
    with servers[0].researcher() as researcher:
        experiment = researcher.create("edited", **COUNTING)
        with rewards(servers, experiment) as load:
            load.answered(SOME)
            edit = COUNTING | {"set_reward": EDITED, "name": "edited"}
            assert researcher.http.put(f"/exp/{experiment.id}", json=edit).status_code == 200
            load.answered(SOME)
        assert {answer.status for answer in load.answers} == {200}
        rows = experiment.stats("rewardlog")
        revisions = [row["revision"] for row in reversed(rows)]
        assert revisions == sorted(revisions)
        counts = Counter(revisions)
        assert len(rows) == len(load.answers)
        assert experiment.theta() == {"arm:a": {"n": counts[1]}, "edited:a": {"n": counts[2]}}


def test_a_reset_divides_the_rewards_into_those_before_and_after(
    servers: list[Server], database: Database[dict[str, Any]]
) -> None:
    with servers[0].researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        with rewards(servers, experiment) as load:
            load.answered(SOME)
            url = f"/exp/{experiment.id}/resetexperiment"
            reset_answer = researcher.http.get(url, params={"key": experiment.key})
            assert reset_answer.json() == {"status": "success", "deleted": 1}
            load.answered(SOME)
        assert {answer.status for answer in load.answers} == {200}
        reset = database.events.find_one({"exp_id": experiment.id, "kind": "reset"})
        assert reset is not None
        rows = experiment.stats("rewardlog")
        after = sum(row["seq"] > reset["seq"] for row in rows)
        assert len(rows) == len(load.answers)
        assert experiment.theta().get("arm:a", {"n": 0})["n"] == after


@pytest.mark.slow
def test_a_delete_keeps_every_acknowledged_reward_in_the_archive(
    start: Callable[..., Server], alone: Database[dict[str, Any]]
) -> None:
    settings = {"mongodb.database": alone.name, "jobs.purge_seconds": 0.1, "jobs.purge_after_seconds": 2}
    servers = [start(**settings), start(**settings)]
    with servers[0].researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        with rewards(servers, experiment) as load:
            load.answered(SOME)
            assert researcher.http.delete(f"/exp/{experiment.id}").status_code == 200
            load.answered(SOME)
    statuses = Counter(answer.status for answer in load.answers)
    assert set(statuses) == {200, 401}
    servers[0].wait_until(lambda: alone.heads.count_documents({"_id": experiment.id}) == 0)
    kept = [row["row"] for row in alone.archive.find({"exp_id": experiment.id})]
    assert sum("reward" in row and "seq" in row for row in kept) == statuses[200]
    (theta,) = [row for row in kept if "theta" in row]
    assert theta["theta"] == {"n": statuses[200]}
