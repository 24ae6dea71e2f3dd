"""The logs as their readers page through them: newest first, with cursors that hold a whole place in the order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from app.domain.rows import ErrorRow, LogRow
from app.errors import InvalidParameter
from app.storage.client import Storage
from app.storage.decisions import decision_of
from app.storage.documents import Document, from_document
from app.storage.outages import translate_outages
from app.storage.rewards import reward_of
from app.storage.simulations import run_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_EXPECTED = "expected the cursor that an earlier answer gave"
_BATCH_ROWS = 500
T = TypeVar("T")


@dataclass(frozen=True)
class Log(Generic[T]):
    """A collection of rows of experiments, in the order of ``seq``, or of time and id; or only those marked so.

    ``read`` makes the row of a document.
    """

    collection: str
    read: Callable[[Document], T]
    by_seq: bool = False
    marked: str = ""

    @property
    def order(self) -> list[tuple[str, int]]:
        """Newest first."""
        return [("seq", -1)] if self.by_seq else [("date", -1), ("_id", -1)]

    def cursor(self, row: Document) -> str:
        """The place of a row."""
        if self.by_seq:
            return str(row["seq"])
        return f"{(row['date'] - _EPOCH) // _MILLISECOND}-{row['_id']}"

    def before(self, cursor: str) -> Document:
        """What a row must match to come after the cursor's place."""
        place, dash, row_id = cursor.partition("-")
        if not place.isdecimal() or len(place) > 15 or bool(dash) is self.by_seq:
            raise InvalidParameter("before", _EXPECTED)
        if self.by_seq:
            return {"seq": {"$lt": int(place)}}
        try:
            date = _EPOCH + int(place) * _MILLISECOND
        except OverflowError:
            raise InvalidParameter("before", _EXPECTED) from None
        return {"date": {"$lte": date}, "$or": [{"date": {"$lt": date}}, {"_id": {"$lt": row_id}}]}


DECISIONS = Log("decisions", decision_of)
REWARDS = Log("rewards", reward_of, by_seq=True)
LOGS = Log("logs", partial(from_document, LogRow))
ERRORS = Log("errors", partial(from_document, ErrorRow))
SIMULATIONS = Log("simulations", run_of, marked="logged")


class Pages(Storage):
    """Pages of logs."""

    @translate_outages
    async def rows(self, log: Log[T], exp_id: str, before: str | None, limit: int) -> AsyncIterator[T]:
        """Rows from the cursor on, newest first; ``limit`` 0 means all. Holds a few hundred in memory at a time."""
        found = self.db[log.collection].find(_wanted(log, exp_id, before))
        async for document in found.sort(log.order).limit(limit).batch_size(_BATCH_ROWS):
            yield log.read(document)

    @translate_outages
    async def next_cursor(self, log: Log[Any], exp_id: str, before: str | None, limit: int) -> str | None:
        """Where the next page begins, if there is one; read from the index alone."""
        if not limit:
            return None
        fields = {name: 1 for name, _ in log.order}
        found = self.db[log.collection].find(_wanted(log, exp_id, before), fields)
        last = [row async for row in found.sort(log.order).skip(limit - 1).limit(2)]
        return log.cursor(last[0]) if len(last) == 2 else None


def _wanted(log: Log[Any], exp_id: str, before: str | None) -> Document:
    return {"exp_id": exp_id} | ({log.marked: True} if log.marked else {}) | (log.before(before) if before else {})
