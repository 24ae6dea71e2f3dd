"""Scripts run in a worker without a server around it, in any choice of confinement layers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from app.sandbox.confinement.layers import Layers
from app.sandbox.host import reply_validation
from app.sandbox.host.channel import WorkerLost
from app.sandbox.host.pool import Pool
from app.sandbox.host.zygote_client import Source, Zygote
from app.sandbox.protocol import Done, Failed, Item, Missed, PutOff, RunScript, encode

NOTHING = Layers(seccomp=False, landlock=False, namespaces=False, rlimits=False, privileges=False)
MEMORY_MB = 512


@asynccontextmanager
async def pool(source: Source | None = None, max_workers: int = 4, **options: Any) -> AsyncIterator[Pool]:
    """A pool, with all confinement layers by default."""
    running = Pool(source or Zygote(MEMORY_MB), max_workers, **options)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def behind(layers: Layers, cpu_seconds: int = 3600) -> Zygote:
    """A zygote with only these layers."""
    return Zygote(MEMORY_MB, asdict(layers), cpu_seconds)


def frame(source: str, *contexts: dict[str, Any], seconds: float = 60) -> tuple[bytes, list[Item]]:
    """What asks a worker to run a get_action, once for each context."""
    items = [Item(number, number, context, {}, {}) for number, context in enumerate(contexts or ({},))]
    return encode(RunScript("e", "get_action", items, seconds, programs={"e": {"get_action": source}})), items


async def run(
    pool: Pool, source: str, *contexts: dict[str, Any], deadline: float = 60, key: object = None
) -> list[Done | Failed | Missed | PutOff]:
    """What came of it; ``WorkerLost`` if the worker did not live to tell."""
    payload, items = frame(source, *contexts)
    async with pool.lease(key or object()) as worker:
        return await reply_validation.read(await worker.request(payload, deadline), items, {"e"})


async def won(pool: Pool, source: str, context: dict[str, Any], deadline: float = 60) -> bool:
    """Whether a script of the catalogue of attacks says that it got something."""
    try:
        outcomes = await run(pool, source, context, deadline=deadline)
    except WorkerLost:
        return False
    return isinstance(outcomes[0], Done) and "got" in outcomes[0].result
