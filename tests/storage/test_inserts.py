"""Rows of many batches in few commands, with a fate of their own for each batch."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bson.errors import InvalidDocument

from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.inserts import Inserts
from tests.proxy import Proxy
from tests.storage.wire import Wire, opened


def rows(*ids: int) -> list[dict[str, Any]]:
    return [{"_id": number} for number in ids]


def told(mongo: str, database: str, story: Callable[[Any, Inserts], Awaitable[None]], *wires: Wire) -> None:
    """Tell the story of a new collection."""

    async def tell() -> None:
        async with opened(mongo, database, *wires) as store:
            collection = store.db[f"inserts_{secrets.token_hex(4)}"]
            await story(collection, Inserts(collection))

    asyncio.run(tell())


async def there(collection: Any) -> list[int]:
    return [row["_id"] async for row in collection.find().sort("_id", 1)]


def test_what_is_added_at_once_goes_in_few_commands_of_bounded_size(mongo: str, database_name: str) -> None:
    wire = Wire()

    async def story(collection: Any, inserts: Inserts) -> None:
        wire.commands.clear()
        late = time.monotonic() + 60
        await asyncio.gather(*(inserts.add(rows(2 * n, 2 * n + 1), late) for n in range(1_500)))
        assert await there(collection) == list(range(3_000))

    told(mongo, database_name, story, wire)
    assert len(wire.named({"insert"})) <= 6
    assert max(len(command["documents"]) for command in wire.named({"insert"})) == 1_000


def test_rows_that_cannot_be_stored_fail_alone_and_those_there_already_are_left(mongo: str, database_name: str) -> None:
    async def story(collection: Any, inserts: Inserts) -> None:
        late = time.monotonic() + 60
        await inserts.add(rows(1), late)
        bad: list[dict[str, Any]] = [{"_id": 2, "x": object()}]
        portions = [rows(1, 3), bad, rows(4), rows(5), rows(6), rows(7)]
        fates = await asyncio.gather(*(inserts.add(each, late) for each in portions), return_exceptions=True)
        assert [type(fate) for fate in fates] == [type(None), InvalidDocument] + [type(None)] * 4
        assert await there(collection) == [1, 3, 4, 5, 6, 7]

    told(mongo, database_name, story)


def test_each_portion_has_its_own_deadline_while_mongodb_is_away(mongo: str, database_name: str) -> None:
    async def story(collection: Any, inserts: Inserts) -> None:
        async def cut() -> None:
            proxy.dark = True
            proxy.cut()

        async with Proxy(mongo) as proxy, opened(proxy.uri, database_name) as through:
            inserts = Inserts(through.db[collection.name])
            proxy.at("insert", 1, "after", cut)
            now = time.monotonic()
            deadlines = [now + 0.3, now - 1] + [now + 60] * 4
            adding = [asyncio.ensure_future(inserts.add(rows(n), at)) for n, at in enumerate(deadlines)]
            await asyncio.wait(adding[:2])
            assert isinstance(adding[0].exception(), OutcomeUnknown | StoreUnavailable)
            assert isinstance(adding[1].exception(), StoreUnavailable)
            assert not any(each.done() for each in adding[2:])
            proxy.dark = False
            await asyncio.gather(*adding[2:])
            assert {2, 3, 4, 5} <= set(await there(collection)) <= {0, 2, 3, 4, 5}

    told(mongo, database_name, story)


def test_who_no_longer_waits_harms_nobody(mongo: str, database_name: str) -> None:
    async def story(collection: Any, inserts: Inserts) -> None:
        late = time.monotonic() + 60
        adding = [asyncio.ensure_future(inserts.add(rows(n), late)) for n in range(9)]
        await asyncio.sleep(0)
        adding[7].cancel()
        await asyncio.gather(*adding[:7], adding[8])
        with pytest.raises(asyncio.CancelledError):
            await adding[7]

    told(mongo, database_name, story)


def test_who_waits_behind_others_hears_by_the_deadline(mongo: str, database_name: str) -> None:
    async def story(collection: Any, inserts: Inserts) -> None:
        async with Proxy(mongo) as proxy, opened(proxy.uri, database_name) as through:
            inserts = Inserts(through.db[collection.name])
            arrived: asyncio.Queue[None] = asyncio.Queue()
            released = asyncio.Event()

            async def hold() -> None:
                arrived.put_nowait(None)
                await released.wait()

            adding = []
            for number in range(2):
                proxy.at("insert", 1, "before", hold)
                adding.append(asyncio.ensure_future(inserts.add(rows(number), time.monotonic() + 60)))
                await arrived.get()
            with pytest.raises(StoreUnavailable):
                await inserts.add(rows(2), time.monotonic() + 0.3)
            assert not any(each.done() for each in adding)
            released.set()
            await asyncio.gather(*adding)
            assert await there(collection) == [0, 1]

    told(mongo, database_name, story)


def test_what_is_large_goes_alone(mongo: str, database_name: str) -> None:
    wire = Wire()

    async def story(collection: Any, inserts: Inserts) -> None:
        wire.commands.clear()
        late = time.monotonic() + 60
        sizes = [0] * 10 + [2**21] + [0] * 10
        await asyncio.gather(*(inserts.add(rows(n), late, size) for n, size in enumerate(sizes)))
        assert await there(collection) == list(range(21))

    told(mongo, database_name, story, wire)
    together = [[row["_id"] for row in command["documents"]] for command in wire.named({"insert"})]
    assert [10] in together
    assert len(together) == 3
