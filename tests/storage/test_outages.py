"""MongoDB goes away while rows are read: before the first one, and in their midst."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.files import FileSpec
from app.errors import StoreUnavailable
from app.storage.client import connect
from app.storage.pages import DECISIONS, ERRORS, LOGS, REWARDS, SIMULATIONS
from app.storage.store import Store
from tests.proxy import Proxy
from tests.storage.wire import opened

DATE = datetime(2026, 1, 1, tzinfo=UTC)
STREAMS: list[Callable[[Store], AsyncIterator[Any]]] = [
    *(lambda store, log=log: store.pages.rows(log, "e", None, 0) for log in (DECISIONS, REWARDS, LOGS, ERRORS)),
    lambda store: store.pages.rows(SIMULATIONS, "e", None, 0),
    lambda store: store.thetas.current("e", 1, "_theta"),
    lambda store: store.snapshots.hours("e", "_theta", None),
    lambda store: store.files.read("f", 0, 1),
]
CALLS: list[Callable[[Store], Any]] = [
    lambda store: store.experiments.revisions("e"),
    lambda store: store.snapshots.of_hour("e", "_theta", DATE),
    lambda store: store.simulations.theta("e", "s"),
    lambda store: store.files.find("f"),
    lambda store: store.files.create(FileSpec("f", "o", "e", "name", "text/csv")),
    lambda store: store.pages.next_cursor(DECISIONS, "e", None, 1),
]


async def first(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        return


def test_a_read_that_cannot_begin_says_that_the_database_is_away(mongo: str) -> None:
    async def work() -> None:
        async with Proxy(mongo) as proxy, opened(proxy.uri, f"test_{secrets.token_hex(4)}") as store:
            reads = [*(first(stream(store)) for stream in STREAMS), *(call(store) for call in CALLS)]
            proxy.dark = True
            proxy.cut()
            outcomes = await asyncio.gather(*reads, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * len(reads)
            await store.db.client.close()

    asyncio.run(work())


def test_so_does_one_that_is_broken_off(mongo: str) -> None:
    name, seen = f"test_{secrets.token_hex(4)}", 0

    async def work() -> None:
        async with opened(mongo, name) as store, Proxy(mongo) as proxy:
            rows = [{"_id": str(n), "exp_id": "e", "date": DATE, "row": "d", "data": {}} for n in range(1_200)]
            await store.db.logs.insert_many(rows)
            through = Store(connect(proxy.uri, name))

            async def read() -> None:
                nonlocal seen
                async for _ in through.pages.rows(LOGS, "e", None, 0):
                    seen += 1
                    if seen == 1:
                        proxy.dark = True
                        proxy.cut()

            with pytest.raises(StoreUnavailable):
                await read()
            await through.close()
            await store.db.client.drop_database(name)

    asyncio.run(work())
    assert 0 < seen < 1_200
