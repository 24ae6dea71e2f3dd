"""Request ids: for a day, the same id of the same call on the same experiment means the same row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pymongo import ReplaceOne, errors
from pymongo.asynchronous.client_session import AsyncClientSession

from app.storage.client import Storage
from app.storage.documents import Document, only_duplicates
from app.storage.elections import complete_after_election
from app.storage.outages import translate_outages

_LIFETIME = timedelta(hours=24)

# Rows by experiment and request id.
Requested = dict[tuple[str, str], str]


class Requests(Storage):
    """Which row a request id stands for."""

    @translate_outages
    async def claim(self, exp_id: str, call: str, rows: dict[str, str]) -> dict[str, str]:
        """Let each request id stand for the given row, unless it already stands for one; what it stands for."""
        try:
            await self.db.requests.bulk_write(
                _operations(call, {(exp_id, each): row for each, row in rows.items()}), ordered=False
            )
            return rows
        except errors.BulkWriteError as error:
            if not only_duplicates(error):
                raise
        return rows | await self.find(exp_id, call, list(rows))

    @translate_outages
    @complete_after_election
    async def find(self, exp_id: str, call: str, request_ids: list[str]) -> dict[str, str]:
        """The rows of those request ids that are known."""
        ids = {_id(exp_id, call, request_id): request_id for request_id in request_ids}
        wanted = {"_id": {"$in": list(ids)}, "expires": {"$gt": datetime.now(UTC)}}
        return {ids[document["_id"]]: document["row"] async for document in self.db.requests.find(wanted)}

    async def insert_in(self, call: str, rows: Requested, session: AsyncClientSession) -> None:
        """Note request ids as part of a transaction; a duplicate key if one of them is known."""
        await self.db.requests.bulk_write(_operations(call, rows), ordered=False, session=session)


def _operations(call: str, rows: Requested) -> list[ReplaceOne[Document]]:
    """Take the place of nothing or of an id whose day is over: otherwise the upsert meets a duplicate key."""
    now = datetime.now(UTC)
    return [
        ReplaceOne(
            {"_id": _id(exp_id, call, request_id), "expires": {"$lte": now}},
            {"row": row, "exp_id": exp_id, "expires": now + _LIFETIME},
            upsert=True,
        )
        for (exp_id, request_id), row in rows.items()
    ]


def _id(exp_id: str, call: str, request_id: str) -> str:
    return f"{exp_id}:{call}:{request_id}"
