"""Rows of several batches in one command, as where many experiments are called at once.

While a few inserts are under way, what comes gathers for the next one. Whoever adds rows hears of those rows only.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from pymongo import errors

from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.client import Document, is_outage, only_duplicates, time_limit

_AT_ONCE = 2
_ROWS = 1_000
_PAUSE = 0.01
_LONGEST_PAUSE = 0.5


@dataclass(eq=False)
class _Portion:
    """What was added at once; ``sent`` if some of it may be in the database."""

    rows: list[Document]
    deadline: float
    done: asyncio.Future[None]
    sent: bool = False

    def end(self, error: Exception | None = None) -> None:
        """Tell who added it, unless nobody waits any more."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Inserts:
    """Inserts into one collection; rows that are there already, by their ids, are left as they are."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._waiting: deque[_Portion] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, rows: list[Document], deadline: float) -> None:
        """Insert the rows; an unclear outcome is repeated until ``deadline`` (of ``time.monotonic``).

        Then ``OutcomeUnknown``, or ``StoreUnavailable`` if certainly none was inserted.
        """
        loop = asyncio.get_running_loop()
        portion = _Portion(rows, deadline, loop.create_future())
        self._waiting.append(portion)
        if len(self._tasks) < _AT_ONCE:
            # In a context of its own: the caller's time limit is not that of the rows that are added later.
            task = loop.create_task(self._work(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await portion.done

    async def _work(self) -> None:
        while self._waiting:
            portions: list[_Portion] = []
            while self._waiting and sum(len(portion.rows) for portion in portions) < _ROWS:
                portions.append(self._waiting.popleft())
            await self._insert(portions)

    async def _insert(self, portions: list[_Portion]) -> None:
        pause = _PAUSE
        while portions := _in_time(portions):
            try:
                with time_limit(min(portion.deadline for portion in portions) - time.monotonic()):
                    await self._collection.insert_many([row for each in portions for row in each.rows], ordered=False)
            except Exception as error:
                if isinstance(error, errors.PyMongoError) and is_outage(error):
                    for portion in portions:
                        portion.sent |= not isinstance(error, errors.ServerSelectionTimeoutError)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                if not (isinstance(error, errors.BulkWriteError) and only_duplicates(error)):
                    if len(portions) == 1:
                        return portions[0].end(error)
                    for portion in portions:  # by itself, as nobody shall suffer from another's rows
                        await self._insert([portion])
                    return
            for portion in portions:
                portion.end()
            return


def _in_time(portions: list[_Portion]) -> list[_Portion]:
    """Those that have time left; the others are given up."""
    now = time.monotonic()
    for portion in portions:
        if portion.deadline <= now:
            portion.end(OutcomeUnknown() if portion.sent else StoreUnavailable())
    return [portion for portion in portions if portion.deadline > now]
