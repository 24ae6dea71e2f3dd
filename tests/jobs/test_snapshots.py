"""Snapshots of theta: one per theta and interval, however many servers there are and whichever dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.servers import COUNTING, Experiment, Server

SECONDS = 1.2
ARMS = ("a", "b", "c")


@pytest.fixture
def settings(alone: Database[dict[str, Any]]) -> dict[str, Any]:
    return {"mongodb.database": alone.name, "jobs.snapshot_minutes": SECONDS / 60}


def teach(experiment: Experiment) -> None:
    for arm in ARMS:
        experiment.set_reward(context={}, action={"arm": arm}, reward={})


def hours(alone: Database[dict[str, Any]]) -> Counter[Any]:
    return Counter(row["hour"] for row in alone.theta_snapshots.find())


@pytest.mark.slow
def test_two_servers_take_exactly_one_snapshot_per_theta_and_interval(
    start: Callable[..., Server], settings: dict[str, Any], alone: Database[dict[str, Any]]
) -> None:
    servers = [start(**settings), start(**settings)]
    with servers[0].researcher() as researcher:
        experiment = researcher.create(**COUNTING, hourly_theta=True)
        without = researcher.create(**COUNTING)
        teach(experiment)
        teach(without)
        servers[0].wait_until(lambda: len(hours(alone)) >= 4)
        # The first interval may have begun before all three were there.
        assert set(list(hours(alone).values())[1:3]) == {len(ARMS)}
        assert alone.theta_snapshots.count_documents({"exp_id": without.id}) == 0
        rows = experiment.stats("hourlytheta")
        assert rows[0]["theta"] == {f"arm:{arm}": {"n": 1} for arm in ARMS}
        assert rows == sorted(rows, key=lambda row: row["date"], reverse=True)
        page = experiment.http.get(f"/stats/{experiment.id}/hourlytheta", params={"limit": 2})
        assert len(page.json()) == 2
        rest = experiment.stats("hourlytheta", before=page.headers["X-Next-Before"])
        assert rest[0]["date"] < page.json()[-1]["date"]


@pytest.mark.slow
def test_when_the_leader_is_killed_the_other_takes_over(
    start: Callable[..., Server], settings: dict[str, Any], alone: Database[dict[str, Any]]
) -> None:
    leader, heir = start(**settings), start(**settings)
    with heir.researcher() as researcher:
        teach(researcher.create(**COUNTING, hourly_theta=True))
        heir.wait_until(lambda: len(hours(alone)) >= 1)
        leader.kill()
        before = len(hours(alone))
        heir.wait_until(lambda: len(hours(alone)) >= before + 2)
        assert max(hours(alone).values()) == len(ARMS)


def test_a_leader_that_stops_hands_over_at_once(
    start: Callable[..., Server], settings: dict[str, Any], alone: Database[dict[str, Any]]
) -> None:
    leader, heir = start(**settings), start(**settings)
    first = alone.leases.find_one({"_id": "jobs"})
    assert first is not None
    assert leader.stop() == 0
    heir.wait_until(lambda: (alone.leases.find_one({"_id": "jobs"}) or first)["owner"] != first["owner"])
