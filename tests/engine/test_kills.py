"""Servers and mongod are killed under load: what was answered is there afterwards, and nothing is there twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.engine.test_exactly_once import ADVISED
from tests.load import Answer, Load, path
from tests.servers import COUNTING, Experiment, Server

# Answered, answered that MongoDB is away, or the connection broke: nothing else may come of a kill.
EXPECTED = {200, 503, 0}
Kill = Callable[[Server], None]


def kill_server(server: Server) -> None:
    """SIGKILL the server and start it again on its port."""
    server.kill()
    server.restart()


def kill_mongod(server: Server) -> None:
    """SIGKILL its mongod; the server starts it again by itself."""
    os.kill(server.mongod_pid, signal.SIGKILL)


def under_kills(servers: Sequence[Server], paths: list[str], kills: Sequence[Kill]) -> list[Answer]:
    """The answers to the calls, during which the kills come at even distances."""

    async def whole() -> list[Answer]:
        load = Load([server.url for server in servers], paths, clients=32)

        async def harm() -> None:
            for number, kill in enumerate(kills, start=1):
                await load.answered(number * len(paths) // (len(kills) + 1))
                await asyncio.to_thread(kill, servers[number % len(servers)])

        async with AsyncExitStack() as stack:
            group = await stack.enter_async_context(asyncio.TaskGroup())
            group.create_task(harm())
            answers = await load.run()
        return answers

    answers = asyncio.run(whole())
    assert {answer.status for answer in answers} <= EXPECTED
    return answers


def until_answered(servers: Sequence[Server], paths: list[str]) -> list[Answer]:
    """The answers once everything runs again: calls answered 503 are sent again, as they ask for."""
    answers = under_kills(servers, paths, [])
    while open_ := [number for number, answer in enumerate(answers) if answer.status != 200]:
        for number, answer in zip(open_, under_kills(servers, [paths[n] for n in open_], []), strict=True):
            answers[number] = answer
    return answers


def check_advised(servers: Sequence[Server], experiment: Experiment, kills: Sequence[Kill], calls: int) -> None:
    """Decide and reward under kills, send every reward again, and compare answers, logs and theta."""
    key = experiment.key
    asked = [path("getaction", experiment.id, key, context={"i": i}) for i in range(calls)]
    decided = under_kills(servers, asked, kills)
    advices = {answer.json["advice_id"]: i for i, answer in enumerate(decided) if answer.status == 200}
    rewards = [path("setreward", experiment.id, key, advice_id=a, reward={"i": i}) for a, i in advices.items()]
    first = under_kills(servers, rewards, kills)
    again = until_answered(servers, rewards)
    with MongoClient[dict[str, Any]](servers[0].mongo_uri) as client:
        database: Database[dict[str, Any]] = client[servers[0].database]
        decisions = {row["_id"]: row for row in database.decisions.find({"exp_id": experiment.id})}
        rows = list(database.rewards.find({"exp_id": experiment.id}))
    assert all(decisions[advice]["context"] == {"i": i} for advice, i in advices.items())
    assert {row["context"]["i"] for row in decisions.values()} <= set(range(calls))
    # Answered before or after the kill: whoever sends it again learns that it was counted already.
    assert all(later.json.get("duplicate") for early, later in zip(first, again, strict=True) if early.status == 200)
    assert {row["advice_id"]: row["reward"] for row in rows} == {advice: {"i": i} for advice, i in advices.items()}
    assert len(rows) == len(advices)
    check_counts(rows, experiment)


def check_plain(servers: Sequence[Server], experiment: Experiment, kills: Sequence[Kill], calls: int) -> None:
    """Rewards that nobody can recognise: those answered are there, and the server's own repeats count once."""
    key, action = experiment.key, {"arm": "a"}
    sent = [path("setreward", experiment.id, key, action=action, reward={"i": i}) for i in range(calls)]
    answers = under_kills(servers, sent, kills)
    until_answered(servers, [path("getaction", experiment.id, key)])
    with MongoClient[dict[str, Any]](servers[0].mongo_uri) as client:
        rows = list(client[servers[0].database].rewards.find({"exp_id": experiment.id}))
    counted = [row["reward"]["i"] for row in rows]
    assert len(counted) == len(set(counted))
    assert {i for i, answer in enumerate(answers) if answer.status == 200} <= set(counted)
    check_counts(rows, experiment)


def check_counts(rows: list[dict[str, Any]], experiment: Experiment) -> None:
    """Theta, the summary and the places in the log agree with the rows."""
    assert sorted(row["seq"] for row in rows) == list(range(1, len(rows) + 1))
    assert sum(theta["n"] for theta in experiment.theta().values()) == len(rows)
    assert experiment.summary()["set_reward_calls"] == len(rows)


@pytest.mark.parametrize("kill", [kill_server, kill_mongod])
def test_what_was_answered_survives_a_kill_and_a_retry_counts_once(
    start: Callable[..., Server], tmp_path: Path, kill: Kill
) -> None:
    server = start(embedded=tmp_path / "data")
    with server.researcher() as researcher:
        check_advised([server], researcher.create(**ADVISED), [kill], calls=800)


@pytest.mark.parametrize("kill", [kill_server, kill_mongod])
def test_the_server_repeats_what_a_kill_interrupted_without_counting_it_twice(
    start: Callable[..., Server], tmp_path: Path, kill: Kill
) -> None:
    server = start(embedded=tmp_path / "data")
    with server.researcher() as researcher:
        check_plain([server], researcher.create(**COUNTING), [kill], calls=1_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kills", [[kill_server] * 3, [kill_mongod] * 3, [kill_server, kill_mongod] * 2], ids=["servers", "mongod", "both"]
)
def test_two_servers_survive_many_kills(start: Callable[..., Server], tmp_path: Path, kills: list[Kill]) -> None:
    servers = [start(embedded=tmp_path / "data") for _ in range(2)]
    with servers[0].researcher() as researcher:
        check_advised(servers, researcher.create(**ADVISED), kills, calls=2_500)
        check_plain(servers, researcher.create(**COUNTING), kills, calls=2_500)
