"""Writes of several experiments that share commands, each with a fate and a deadline of its own."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.group_commit import GroupCommit, PendingWrite, in_time


class Writer:
    """Remembers the pieces; each waits until it is released."""

    def __init__(self) -> None:
        self.pieces: list[list[str]] = []
        self.released = asyncio.Event()

    async def write(self, writes: list[PendingWrite[str]]) -> None:
        self.pieces.append([one.content for one in writes])
        await self.released.wait()
        for one in writes:
            one.end(ValueError(one.content) if one.content.startswith("bad") else None)


def group(writer: Writer, at_once: int = 1, rows: int = 3) -> GroupCommit[str]:
    return GroupCommit(writer.write, at_once, rows)


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def added(to: GroupCommit[str], name: str, **given: Any) -> asyncio.Task[None]:
    options = {"deadline": time.monotonic() + 60, "rows": 1, "size": 0} | given
    return asyncio.create_task(to.add(name, options.pop("deadline"), **options))


def test_what_comes_while_a_piece_is_under_way_shares_the_next_up_to_its_rows() -> None:
    async def story() -> None:
        writer = Writer()
        to = group(writer)
        first = added(to, "a")
        await turn()
        rest = [added(to, name) for name in "bcdef"]
        await turn()
        assert writer.pieces == [["a"]]
        writer.released.set()
        await asyncio.gather(first, *rest)
        assert writer.pieces == [["a"], ["b", "c", "d"], ["e", "f"]]

    asyncio.run(story())


def test_only_so_many_pieces_are_under_way() -> None:
    async def story() -> None:
        writer = Writer()
        to = group(writer, at_once=2)
        tasks = []
        for name in "abc":
            tasks.append(added(to, name))
            await turn()
        assert writer.pieces == [["a"], ["b"]]
        writer.released.set()
        await asyncio.gather(*tasks)

    asyncio.run(story())


def test_writes_that_exclude_one_another_or_are_large_never_share_a_piece() -> None:
    async def story() -> None:
        writer = Writer()
        to = group(writer)
        tasks = [added(to, "first")]
        await turn()
        tasks += [added(to, name, exclusive={"x"}) for name in ("one", "two")]
        tasks += [added(to, "large", size=2**21), added(to, "small")]
        await turn()
        writer.released.set()
        await asyncio.gather(*tasks)
        assert writer.pieces == [["first"], ["one"], ["two"], ["large"], ["small"]]

    asyncio.run(story())


def test_each_hears_its_own_error() -> None:
    async def story() -> None:
        writer = Writer()
        writer.released.set()
        to = group(writer)
        fates = await asyncio.gather(*(added(to, name) for name in ("a", "bad", "c")), return_exceptions=True)
        assert [type(fate) for fate in fates] == [type(None), ValueError, type(None)]

    asyncio.run(story())


def test_who_waits_behind_others_is_given_up_at_its_own_deadline_and_never_written() -> None:
    async def story() -> None:
        writer = Writer()
        to = group(writer)
        first = added(to, "a")
        await turn()
        late = added(to, "late", deadline=time.monotonic() + 0.01)
        with pytest.raises(StoreUnavailable):
            await late
        writer.released.set()
        await first
        assert writer.pieces == [["a"]]

    asyncio.run(story())


def test_a_write_that_was_begun_ends_as_unknown() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        over = PendingWrite("a", time.monotonic() - 1, 1, 0, set(), loop.create_future(), OutcomeUnknown)
        left = PendingWrite("b", time.monotonic() + 60, 1, 0, set(), loop.create_future())
        gone = PendingWrite("c", time.monotonic() + 60, 1, 0, set(), loop.create_future())
        gone.done.cancel()
        assert in_time([over, left, gone]) == [left]
        assert isinstance(over.done.exception(), OutcomeUnknown)

    asyncio.run(story())


def test_a_fault_of_the_writer_leaves_nobody_waiting() -> None:
    async def story() -> None:
        async def write(writes: list[PendingWrite[str]]) -> None:
            raise KeyError

        to: GroupCommit[str] = GroupCommit(write, 1, 3)
        fates = await asyncio.gather(*(added(to, name) for name in "ab"), return_exceptions=True)
        assert [type(fate) for fate in fates] == [KeyError, KeyError]

    asyncio.run(story())
