"""Commits of several experiments in one transaction, each with a fate of its own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.domain.experiment import Experiment, Head
from app.domain.ids import new_id
from app.domain.theta import ThetaKey
from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.commits import Commit
from app.storage.heads import HeadMove
from app.storage.store import Store
from app.storage.thetas import ThetaWrite
from app.storage.transactions import Conflict
from tests.proxy import Proxy
from tests.storage.wire import Wire, opened

Told = Callable[[Store, list[Head]], Awaitable[None]]


def told(mongo: str, database: str, count: int, story: Told, *wires: Wire) -> None:
    """Tell the story of so many new experiments."""

    async def tell() -> None:
        async with opened(mongo, database, *wires) as store:
            ids = [secrets.token_hex(6) for _ in range(count)]
            for each in ids:
                made = Experiment(id=each, key="k", owner="o", created=datetime.now(UTC), name=each)
                await store.experiments.insert(made)
            heads = await store.heads.find(ids)
            await story(store, [heads[each] for each in ids])

    asyncio.run(tell())


def commit(head: Head) -> Commit:
    """Theta becomes what the next seq is."""
    theta = ThetaWrite(ThetaKey(head.exp_id, "_theta"), 1, head.seq + 1, {"n": head.seq + 1}, stored=head.seq > 0)
    return Commit([HeadMove(head, 1)], requests={(head.exp_id, f"r{head.seq}"): new_id()}, thetas=[theta])


async def fates(store: Store, commits: list[Commit]) -> list[type]:
    late = time.monotonic() + 60
    writing = (store.commits.write(each, late) for each in commits)
    return [type(fate) for fate in await asyncio.gather(*writing, return_exceptions=True)]


async def thetas(store: Store, heads: list[Head]) -> list[int]:
    """Of each experiment its theta's number, which must be its head's; 0 where there is none."""
    found = await store.thetas.find([ThetaKey(h.exp_id, "_theta") for h in heads], {h.exp_id: 1 for h in heads})
    numbers = {theta.key.exp_id: (theta.theta or {})["n"] for theta in found}
    now = await store.heads.find([head.exp_id for head in heads])
    assert {each: head.seq for each, head in now.items() if head.seq} == numbers
    return [numbers.get(head.exp_id, 0) for head in heads]


def test_commits_of_different_experiments_share_transactions(mongo: str, database_name: str) -> None:
    wire = Wire()

    async def story(store: Store, heads: list[Head]) -> None:
        wire.commands.clear()
        assert await fates(store, [commit(head) for head in heads]) == [type(None)] * 40
        assert len(wire.named({"commitTransaction"})) <= 5
        assert await thetas(store, heads) == [1] * 40

    told(mongo, database_name, 40, story, wire)


def test_a_conflict_is_one_commits_own_and_for_a_while_none_are_shared(mongo: str, database_name: str) -> None:
    wire = Wire()

    async def story(store: Store, heads: list[Head]) -> None:
        await store.commits.write(commit(heads[17]), time.monotonic() + 60)  # as by another server
        expected: list[type] = [Conflict if n == 17 else type(None) for n in range(20)]
        assert await fates(store, [commit(head) for head in heads]) == expected
        assert await thetas(store, heads) == [1] * 20
        wire.commands.clear()
        assert await fates(store, [commit(replace(head, seq=1)) for head in heads]) == [type(None)] * 20
        assert len(wire.named({"commitTransaction"})) == 20
        assert await thetas(store, heads) == [2] * 20

    told(mongo, database_name, 20, story, wire)


def test_two_commits_of_one_head_never_share_a_transaction(mongo: str, database_name: str) -> None:
    async def story(store: Store, heads: list[Head]) -> None:
        busy = [commit(head) for head in heads[4:]]  # so that those of the one head gather
        found = await fates(store, [*busy, *[commit(heads[0]) for _ in range(3)], commit(heads[1])])
        assert sorted(fate.__name__ for fate in found[-4:-1]) == ["Conflict", "Conflict", "NoneType"]
        assert found[-1] is type(None)
        assert await thetas(store, heads) == [1, 1, 0, 0, *[1] * 12]

    told(mongo, database_name, 16, story)


def test_one_that_is_late_does_not_stop_the_others(mongo: str, database_name: str) -> None:
    async def story(store: Store, heads: list[Head]) -> None:
        late = time.monotonic() + 60
        deadlines = [late] * 8 + [time.monotonic()] + [late] * 3
        writing = [store.commits.write(commit(h), at) for h, at in zip(heads, deadlines, strict=True)]
        found = await asyncio.gather(*writing, return_exceptions=True)
        assert [n for n, fate in enumerate(found) if fate is not None] == [8]
        assert await thetas(store, heads) == [1] * 8 + [0] + [1] * 3

    told(mongo, database_name, 12, story)


def test_one_whose_time_is_over_leaves_those_it_shares_with_theirs(mongo: str, database_name: str) -> None:
    async def story(store: Store, heads: list[Head]) -> None:
        async with Proxy(mongo) as proxy, opened(proxy.uri, database_name) as through:
            released = asyncio.Event()

            async def hold() -> None:
                await released.wait()

            proxy.at("commitTransaction", 1, "after", hold)
            now = time.monotonic()
            deadlines = [now + 60] * 7 + [now + 2] + [now + 60] * 4
            writing = [
                asyncio.ensure_future(through.commits.write(commit(head), at))
                for head, at in zip(heads, deadlines, strict=True)
            ]
            await asyncio.wait([writing[7]])
            assert isinstance(writing[7].exception(), OutcomeUnknown)
            assert [n for n, each in enumerate(writing) if each.done()] == [7]
            released.set()
            await asyncio.gather(*writing[:7], *writing[8:])
            assert await thetas(store, heads) == [1] * 12

    told(mongo, database_name, 12, story)


def test_a_commit_given_up_for_want_of_time_holds_its_head_no_longer(mongo: str, database_name: str) -> None:
    async def story(store: Store, heads: list[Head]) -> None:
        async with Proxy(mongo) as proxy, opened(proxy.uri, database_name) as through:
            held = asyncio.Event()

            async def hold() -> None:
                held.set()
                await asyncio.Event().wait()

            proxy.at("update", 2, "after", hold)
            with pytest.raises((Conflict, OutcomeUnknown, StoreUnavailable)):
                await through.commits.write(commit(heads[0]), time.monotonic() + 0.5)
            assert held.is_set()
            until = time.monotonic() + 20  # MongoDB by itself would take a minute
            while await fates(store, [commit(heads[0])]) != [type(None)]:
                assert time.monotonic() < until

    told(mongo, database_name, 1, story)
