"""Exports: long lists that are written into files in the background, to be fetched when they are whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

from app.domain.experiment import Experiment
from app.domain.files import FileSpec
from app.domain.ids import new_id
from app.errors import Overloaded, ThetaloopError
from app.storage.files import FileWriter
from app.storage.store import Store

# Each holds as much as its driver sends at once, which is 48 MB.
_AT_ONCE = 2
_MAX_WAITING = 50
_log = logging.getLogger("thetaloop")


class ExportService:
    """The exports of this server; each file is deleted when it is ``keep`` old."""

    def __init__(self, store: Store, keep: timedelta) -> None:
        self._store = store
        self._keep = keep
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self, experiment: Experiment, name: str, type: str, content: AsyncGenerator[bytes, None]) -> str:
        """Begin to write ``content`` into a file of the experiment's owner; the file's id.

        Raises ``Overloaded`` if too many exports wait or the server ends.
        """
        if self._closing or len(self._tasks) >= _MAX_WAITING:
            raise Overloaded()
        expires = datetime.now(UTC) + self._keep
        spec = FileSpec(new_id(), experiment.owner, experiment.id, name, type, expires)
        writer = await self._store.files.create(spec)
        task = asyncio.create_task(self._write(writer, content))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.sleep(0)  # a task that is cancelled before it has begun could not delete its file
        return spec.id

    async def close(self) -> None:
        """Break off every export and delete its file."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self, writer: FileWriter, content: AsyncGenerator[bytes, None]) -> None:
        try:
            async with self._free, aclosing(content):
                async for piece in content:
                    await writer.write(piece)
                await writer.complete()
        except BaseException as error:
            await writer.abort()
            if isinstance(error, ThetaloopError):
                _log.warning("an export was broken off: %s", error)
            elif isinstance(error, Exception):
                _log.exception("an export failed")
            else:
                raise
