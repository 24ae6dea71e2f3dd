"""Servers and mongod are killed under load: what was answered is there afterwards, and nothing is there twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.engine.test_exactly_once import ADVISED
from tests.load import Answer, Load, Visit, Visitors, path
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
    rewarded = {advice for advice, answer in zip(advices, first, strict=True) if answer.status == 200}
    check_rewards(servers, experiment, advices, rewarded)


def check_rewards(
    servers: Sequence[Server],
    experiment: Experiment,
    advices: dict[str, int],
    rewarded: set[str],
    plain: Collection[int] = (),
) -> None:
    """Every advice that was given for a context ``{"i": i}`` is logged and takes its reward, once.

    The rewards ``{"i": i}`` of those in ``rewarded`` were answered already, as were those that had no advice.
    """
    sent = [path("setreward", experiment.id, experiment.key, advice_id=a, reward={"i": i}) for a, i in advices.items()]
    again = until_answered(servers, sent)
    with MongoClient[dict[str, Any]](servers[0].mongo_uri) as client:
        database: Database[dict[str, Any]] = client[servers[0].database]
        decisions = {row["_id"]: row for row in database.decisions.find({"exp_id": experiment.id})}
        rows = list(database.rewards.find({"exp_id": experiment.id}))
    assert all(decisions[advice]["context"] == {"i": i} for advice, i in advices.items())
    # Whoever got no answer may have a decision, but no call has two.
    assert_none_twice(row["context"]["i"] for row in decisions.values())
    # Answered before or after the kill: whoever sends it again learns that it was counted already.
    told = dict(zip(advices, again, strict=True))
    assert all(told[advice].json.get("duplicate") for advice in rewarded)
    advised = {row["advice_id"]: row["reward"] for row in rows if "advice_id" in row}
    assert advised == {advice: {"i": i} for advice, i in advices.items()}
    without = [row["reward"]["i"] for row in rows if "advice_id" not in row]
    assert_none_twice(without)
    assert set(plain) <= set(without)
    assert len(rows) == len(advised) + len(without)
    check_counts(rows, experiment)


def assert_none_twice(numbers: Iterable[int]) -> None:
    """All of them differ."""
    assert [number for number, count in Counter(numbers).items() if count > 1] == []


def check_plain(servers: Sequence[Server], experiment: Experiment, kills: Sequence[Kill], calls: int) -> None:
    """Rewards that nobody can recognise: those answered are there, and the server's own repeats count once."""
    key, action = experiment.key, {"arm": "a"}
    sent = [path("setreward", experiment.id, key, action=action, reward={"i": i}) for i in range(calls)]
    answers = under_kills(servers, sent, kills)
    until_answered(servers, [path("getaction", experiment.id, key)])
    with MongoClient[dict[str, Any]](servers[0].mongo_uri) as client:
        rows = list(client[servers[0].database].rewards.find({"exp_id": experiment.id}))
    counted = [row["reward"]["i"] for row in rows]
    assert_none_twice(counted)
    assert {i for i, answer in enumerate(answers) if answer.status == 200} <= set(counted)
    check_counts(rows, experiment)


def check_counts(rows: list[dict[str, Any]], experiment: Experiment) -> None:
    """Theta, the summary and the places in the log agree with the rows."""
    assert sorted(row["seq"] for row in rows) == list(range(1, len(rows) + 1))
    assert sum(theta["n"] for theta in experiment.theta().values()) == len(rows)
    assert experiment.summary()["set_reward_calls"] == len(rows)


@pytest.mark.parametrize("kill", [kill_server, pytest.param(kill_mongod, marks=pytest.mark.slow)])
def test_what_was_answered_survives_a_kill_and_a_retry_counts_once(
    start: Callable[..., Server], tmp_path: Path, kill: Kill
) -> None:
    server = start(embedded=tmp_path / "data")
    with server.researcher() as researcher:
        check_advised([server], researcher.create(**ADVISED), [kill], calls=800)


@pytest.mark.parametrize("kill", [pytest.param(kill_server, marks=pytest.mark.slow), kill_mongod])
def test_the_server_repeats_what_a_kill_interrupted_without_counting_it_twice(
    start: Callable[..., Server], tmp_path: Path, kill: Kill
) -> None:
    server = start(embedded=tmp_path / "data")
    with server.researcher() as researcher:
        check_plain([server], researcher.create(**COUNTING), [kill], calls=1_000)


@pytest.mark.slow
def test_two_servers_and_their_mongod_are_killed_at_fifty_random_moments(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    servers = [start(embedded=tmp_path / "data") for _ in range(2)]
    with servers[0].researcher() as researcher:
        experiment = researcher.create(**ADVISED)
        visitors = Visitors([server.url for server in servers], experiment.id, experiment.key, seed=50)
        harm = [(kill, server) for server in servers for kill in (kill_server, kill_mongod)]
        check_visits(servers, experiment, visitors, [harm[number % len(harm)] for number in range(50)], seed=51)


def check_visits(
    servers: Sequence[Server],
    experiment: Experiment,
    visitors: Visitors,
    kills: Iterable[tuple[Kill, Server]],
    seed: int,
) -> None:
    """Let visitors come while the kills are done, each after a few more calls that succeeded, and look at it all."""
    moments = Random(seed)

    async def whole() -> list[Visit]:
        async with asyncio.TaskGroup() as group:
            coming = group.create_task(visitors.run())
            for kill, server in kills:
                await visitors.answered(moments.randint(1, 60))
                await asyncio.to_thread(kill, server)
            await visitors.answered(1)
            visitors.leave()
        return coming.result()

    visits = asyncio.run(whole())
    answers = [answer for visit in visits for answer in (visit.decided, visit.rewarded)]
    assert {answer.status for answer in answers} <= EXPECTED
    advices = {visit.advice: visit.number for visit in visits if visit.advice is not None}
    rewarded = [visit for visit in visits if visit.rewarded.status == 200]
    advised = {visit.advice for visit in rewarded if visit.advice is not None and not visit.plain}
    check_rewards(servers, experiment, advices, advised, {visit.number for visit in rewarded if visit.plain})
