"""Inserts of rows, repeated until it is known that they are there."""

from __future__ import annotations

import asyncio

from pymongo import errors
from pymongo.asynchronous.collection import AsyncCollection

from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.client import time_limit
from app.storage.documents import Document, only_duplicates
from app.storage.group_commit import GroupCommit, PendingWrite, in_time
from app.storage.outages import is_outage

_AT_ONCE = 2  # with more, fewer rows gather for each
_ROWS = 1_000
_PAUSE = 0.01
_MAX_PAUSE = 0.5

Rows = list[Document]


class Inserts:
    """Inserts into one collection; rows that are there already, by their ids, are left as they are."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self._collection = collection
        self._gathering = GroupCommit(self._insert, _AT_ONCE, _ROWS)

    async def add(self, rows: Rows, deadline: float, size: int = 0) -> None:
        """Insert the rows, of about ``size`` bytes; an unclear outcome is repeated until ``deadline``.

        That is a time of ``time.monotonic``. Then ``OutcomeUnknown``, or ``StoreUnavailable`` if none was inserted.
        """
        await self._gathering.add(rows, deadline, rows=len(rows), size=size)

    async def _insert(self, writes: list[PendingWrite[Rows]]) -> None:
        pause = _PAUSE
        late: type[OutcomeUnknown | StoreUnavailable] = StoreUnavailable
        while writes := in_time(writes):
            for write in writes:
                write.late = OutcomeUnknown
            try:
                with time_limit(max(write.seconds for write in writes)):
                    rows = [row for write in writes for row in write.content]
                    await self._collection.insert_many(rows, ordered=False)
            except Exception as error:
                if isinstance(error, errors.PyMongoError) and is_outage(error):
                    late = late if isinstance(error, errors.ServerSelectionTimeoutError) else OutcomeUnknown
                    for write in writes:
                        write.late = late
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _MAX_PAUSE)
                    continue
                if not (isinstance(error, errors.BulkWriteError) and only_duplicates(error)):
                    if len(writes) == 1:
                        return writes[0].end(error)
                    for write in writes:  # by itself, as nobody shall suffer from another's rows
                        await self._insert([write])
                    return
            for write in writes:
                write.end()
            return
