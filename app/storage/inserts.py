"""Inserts of rows, repeated until it is known that they are there."""

from __future__ import annotations

import asyncio
from typing import Any

from pymongo import errors

from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.client import Document, is_outage, only_duplicates, time_limit
from app.storage.gathering import Gathering, Portion

_AT_ONCE = 2  # with more, fewer rows gather for each
_ROWS = 1_000
_PAUSE = 0.01
_LONGEST_PAUSE = 0.5

Rows = list[Document]


class Inserts:
    """Inserts into one collection; rows that are there already, by their ids, are left as they are."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._gathering = Gathering(self._insert, _fits, _AT_ONCE)

    async def add(self, rows: Rows, deadline: float) -> None:
        """Insert the rows; an unclear outcome is repeated until ``deadline`` (of ``time.monotonic``).

        Then ``OutcomeUnknown``, or ``StoreUnavailable`` if certainly none was inserted.
        """
        await self._gathering.add(rows, deadline)

    async def _insert(self, portions: list[Portion[Rows]]) -> None:
        pause, sent = _PAUSE, False
        while portions := _in_time(portions, OutcomeUnknown if sent else StoreUnavailable):
            try:
                with time_limit(min(portion.seconds for portion in portions)):
                    rows = [row for portion in portions for row in portion.content]
                    await self._collection.insert_many(rows, ordered=False)
            except Exception as error:
                if isinstance(error, errors.PyMongoError) and is_outage(error):
                    sent = sent or not isinstance(error, errors.ServerSelectionTimeoutError)
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


def _fits(portions: list[Portion[Rows]], another: Portion[Rows]) -> bool:
    return sum(len(portion.content) for portion in portions) + len(another.content) <= _ROWS


def _in_time(portions: list[Portion[Rows]], late: type[OutcomeUnknown | StoreUnavailable]) -> list[Portion[Rows]]:
    """Those that have time left; the others are given up."""
    left = []
    for portion in portions:
        if portion.seconds > 0:
            left.append(portion)
        else:
            portion.end(late())
    return left
