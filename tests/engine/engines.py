"""An engine in this process, put together as a server does it, and experiments for it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from app.domain.experiment import Experiment
from app.engine.engine import Engine, LiveExperiment
from app.engine.limits import Limits
from app.sandbox.host.pool import Pool
from app.sandbox.host.zygote_client import Zygote
from app.storage.client import connect
from app.storage.store import Store


@asynccontextmanager
async def engine(store: Store, limits: Limits, workers: int = 4) -> AsyncIterator[Engine]:
    """One engine with workers of its own."""
    pool = Pool(Zygote(512), workers)
    await pool.start()
    running = Engine(store, pool, limits)
    try:
        yield running
    finally:
        await running.close()
        await pool.stop()


def with_a_store(mongo: str, story: Callable[[Store], Awaitable[None]]) -> None:
    """Tell the story on a new database."""

    async def tell() -> None:
        store = Store(connect(mongo, f"test_{secrets.token_hex(4)}"))
        try:
            await store.prepare()
            await story(store)
            await store.db.client.drop_database(store.db.name)
        finally:
            await store.close()

    asyncio.run(tell())


async def live(store: Store, running: Engine, **properties: Any) -> LiveExperiment:
    """A new experiment."""
    name = secrets.token_hex(6)
    made = Experiment(id=name, name=name, key="k", owner="o", created=datetime.now(UTC), **properties)
    await store.experiments.insert(made)
    return await running.get(made.id)
