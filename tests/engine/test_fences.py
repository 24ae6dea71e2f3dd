"""Edits, resets and deletes under load from two servers: nothing acknowledged is lost to them unrecorded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.load import Answer, hammer, path
from tests.servers import COUNTING, Experiment, Researcher, Server

REWARDS = 1500
# Counts in the theta of the revision that ran, so that the log can be held against it.
EDITED = COUNTING["set_reward"].replace("'arm', arm", "'edited', arm")


@pytest.fixture
def servers(start: Callable[..., Server]) -> list[Server]:
    return [start(), start()]


def load(servers: list[Server], experiment: Experiment) -> tuple[threading.Thread, list[Answer]]:
    """Rewards from 32 clients at both servers, under way; the answers, once the thread has ended."""
    answers: list[Answer] = []
    paths = [
        path("setreward", experiment.id, experiment.key, context={}, action={"arm": "a"}, reward={"value": n})
        for n in range(REWARDS)
    ]
    thread = threading.Thread(target=lambda: answers.extend(hammer([s.url for s in servers], paths, clients=32)))
    thread.start()
    return thread, answers


def begun(experiment: Experiment, researcher: Researcher) -> None:
    """Wait until some of the load has been answered."""
    while experiment.summary()["set_reward_calls"] < REWARDS // 20:
        assert researcher.http.get("/health").status_code == 200


def test_an_edit_takes_effect_between_two_rewards(servers: list[Server], database: Database[dict[str, Any]]) -> None:
    with servers[0].researcher() as researcher:
        experiment = researcher.create("edited", **COUNTING)
        thread, answers = load(servers, experiment)
        begun(experiment, researcher)
        edit = COUNTING | {"set_reward": EDITED, "name": "edited"}
        assert researcher.http.put(f"/exp/{experiment.id}", json=edit).status_code == 200
        thread.join()
        assert Counter(answer.status for answer in answers) == {200: REWARDS}
        rows = experiment.stats("rewardlog")
        revisions = [row["revision"] for row in reversed(rows)]
        assert revisions == sorted(revisions)
        counts = Counter(revisions)
        assert len(rows) == REWARDS
        assert experiment.theta() == {"arm:a": {"n": counts[1]}, "edited:a": {"n": counts[2]}}


def test_a_reset_divides_the_rewards_into_those_before_and_after(
    servers: list[Server], database: Database[dict[str, Any]]
) -> None:
    with servers[0].researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        thread, answers = load(servers, experiment)
        begun(experiment, researcher)
        url = f"/exp/{experiment.id}/resetexperiment"
        assert researcher.http.get(url, params={"key": experiment.key}).json() == {"status": "success", "deleted": 1}
        thread.join()
        assert Counter(answer.status for answer in answers) == {200: REWARDS}
        reset = database.events.find_one({"exp_id": experiment.id, "kind": "reset"})
        assert reset is not None
        rows = experiment.stats("rewardlog")
        after = sum(row["seq"] > reset["seq"] for row in rows)
        assert len(rows) == REWARDS
        assert experiment.theta().get("arm:a", {"n": 0})["n"] == after


@pytest.mark.slow
def test_a_delete_keeps_every_acknowledged_reward_in_the_archive(
    start: Callable[..., Server], alone: Database[dict[str, Any]]
) -> None:
    settings = {"mongodb.database": alone.name, "jobs.purge_seconds": 0.1, "jobs.purge_after_seconds": 2}
    servers = [start(**settings), start(**settings)]
    with servers[0].researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        thread, answers = load(servers, experiment)
        begun(experiment, researcher)
        assert researcher.http.delete(f"/exp/{experiment.id}").status_code == 200
        thread.join()
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200, 401}
    servers[0].wait_until(lambda: alone.heads.count_documents({"_id": experiment.id}) == 0)
    kept = [row["row"] for row in alone.archive.find({"exp_id": experiment.id})]
    assert sum("reward" in row and "seq" in row for row in kept) == statuses[200]
    (theta,) = [row for row in kept if "theta" in row]
    assert theta["theta"] == {"n": statuses[200]}
