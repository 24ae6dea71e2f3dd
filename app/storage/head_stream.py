"""The news of heads: a change stream, read in small portions at a pace of one's own.

Whoever read a head after the stream was opened, and hears nothing of it here, knows it as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from pymongo import errors
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from app.storage.client import Connection
from app.storage.documents import Document
from app.storage.outages import is_outage

_log = logging.getLogger("thetaloop")
# Events are cut down to id and seq where they are made.
_PIPELINE: list[Document] = [
    {
        "$match": {
            "$or": [
                {"updateDescription.updatedFields.seq": {"$exists": True}},
                {"operationType": {"$in": ["insert", "replace", "delete"]}},
            ]
        }
    },
    {"$project": {"documentKey": 1, "seq": {"$ifNull": ["$updateDescription.updatedFields.seq", "$fullDocument.seq"]}}},
]
_GONE = float("inf")
_CURSOR_GONE = {43, 237}  # not found, killed


class StreamBroken(Exception):
    """The stream could not be opened, or has ended: open another one."""


class HeadChangeStream:
    """Opens streams, on a connection of its own: see ``connect`` for why."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection.db
        self._told = ""

    async def open(self) -> Stream:
        """A stream that begins no later than any majority read that is sent from now on."""
        stream: Stream = await self._naming(self._open())
        return stream

    async def _open(self) -> Stream:
        # Not where the primary's own log ends, as is the default: a majority read may lag behind that.
        begin = (await self._db.command("hello"))["lastWrite"]["majorityOpTime"]["ts"]
        session = self._db.client.start_session(causal_consistency=False)
        command = {
            "aggregate": "heads",
            "pipeline": [{"$changeStream": {"startAtOperationTime": begin}}, *_PIPELINE],
            "cursor": {"batchSize": 0},
            "readConcern": {"level": "majority"},
        }
        opened = await self._db.command(command, session=session)
        return Stream(self._db, session, opened["cursor"]["id"], self._naming)

    async def _naming(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await the work; errors of the driver become ours, and the log has those that nobody would expect."""
        try:
            return await work
        except (errors.PyMongoError, KeyError) as error:
            expected = isinstance(error, errors.PyMongoError) and is_outage(error)
            if not expected and getattr(error, "code", None) not in _CURSOR_GONE and self._told != str(error):
                self._told = str(error)
                _log.warning("heads are read before each use, as MongoDB gives no stream of their changes: %s", error)
            raise StreamBroken from error

    async def disconnect(self) -> None:
        """Close the connection."""
        await self._db.client.close()


class Stream:
    """One stream; reads of it raise ``StreamBroken``."""

    def __init__(
        self,
        database: AsyncDatabase[Document],
        session: AsyncClientSession,
        cursor: int,
        naming: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]],
    ) -> None:
        self._db = database
        self._session = session
        self._cursor = cursor
        self._naming = naming

    async def news(self) -> list[tuple[str, float]]:
        """The seqs that heads got since this was last asked, in order; a deleted head gets an infinite one."""
        # By hand, as the driver gives events one by one. And without waiting for events in MongoDB, which would look
        # for some at every write to any collection.
        cursor, self._cursor = self._cursor, 0
        more = {"getMore": cursor, "collection": "heads", "maxTimeMS": 1}
        reply = (await self._naming(self._db.command(more, session=self._session)))["cursor"]
        self._cursor = reply["id"]
        if not self._cursor:  # the collection was dropped or renamed
            raise StreamBroken
        return [(event["documentKey"]["_id"], event.get("seq", _GONE)) for event in reply["nextBatch"]]

    async def close(self) -> None:
        """End it; MongoDB forgets in time what it could not be told."""
        try:
            if self._cursor:
                await self._naming(self._db.command({"killCursors": "heads", "cursors": [self._cursor]}))
        except StreamBroken:
            pass
        finally:
            await self._session.end_session()
