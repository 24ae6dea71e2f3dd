"""Theta documents: one per experiment, epoch, name, key and value.

A reset begins a new epoch, so nothing written for the old one can be taken for the new. A deleted theta leaves a
tombstone, so that ``changed_since`` tells other servers about it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pymongo import InsertOne, ReplaceOne
from pymongo.asynchronous.client_session import AsyncClientSession

from app.domain.experiment import Head
from app.domain.theta import ThetaKey, joined
from app.errors import NotYours
from app.storage.client import Storage
from app.storage.documents import Document
from app.storage.elections import complete_after_election
from app.storage.heads import LIVE, head_of
from app.storage.keys import escaped, restored
from app.storage.outages import translate_outages
from app.storage.transactions import Conflict

# Not deleted. Asked in these words, a partial index answers, which no tombstone is in.
THERE = {"$type": "object"}


@dataclass(frozen=True)
class StoredTheta:
    """A theta document as it was read; ``theta`` is None for a tombstone."""

    key: ThetaKey
    seq: int
    theta: dict[str, Any] | None


@dataclass(frozen=True)
class ThetaWrite:
    """A theta to store, or with None to delete; ``stored`` says whether it has a document already."""

    key: ThetaKey
    epoch: int
    seq: int
    theta: dict[str, Any] | None
    stored: bool


class Thetas(Storage):
    """Reads and writes of theta documents."""

    @translate_outages
    @complete_after_election
    async def find(self, keys: list[ThetaKey], epochs: dict[str, int]) -> list[StoredTheta]:
        """Those of the keys that have a document."""
        ids = [_id(key, epochs[key.exp_id]) for key in keys]
        return [_stored(document) async for document in self.db.theta.find({"_id": {"$in": ids}}, session=self.moment)]

    @translate_outages
    @complete_after_election
    async def find_range(self, exp_id: str, epoch: int, name: str, key: str | None, limit: int) -> list[StoredTheta]:
        """All thetas of a name, or of one key of it, but no tombstones; at most ``limit``."""
        wanted = {"exp_id": exp_id, "epoch": epoch, "name": name, "theta": THERE}
        if key is not None:
            wanted["key"] = key
        return [_stored(document) async for document in self.db.theta.find(wanted, session=self.moment).limit(limit)]

    @translate_outages
    @complete_after_election
    async def changed_since(self, exp_id: str, epoch: int, seq: int, limit: int) -> list[StoredTheta]:
        """What was written after ``seq``, tombstones included; at most ``limit``."""
        wanted = {"exp_id": exp_id, "epoch": epoch, "seq": {"$gt": seq}}
        return [_stored(document) async for document in self.db.theta.find(wanted, session=self.moment).limit(limit)]

    async def write(self, writes: list[ThetaWrite], session: AsyncClientSession) -> None:
        """Insert what is new and replace what is there, inside a transaction; ``Conflict`` if that was wrong."""
        operations = [
            ReplaceOne({"_id": document["_id"]}, document) if write.stored else InsertOne(document)
            for write in writes
            for document in [_document(write)]
        ]
        done = await self.db.theta.bulk_write(operations, ordered=False, session=session)
        if done.matched_count + done.inserted_count != len(operations):
            raise Conflict

    @translate_outages
    async def copy(self, exp_id: str, most_bytes: int) -> tuple[Head, list[StoredTheta]] | None:
        """A live experiment's head and thetas, at one moment; ``None`` where that is more than so many bytes."""
        async with self.db.client.start_session(snapshot=True) as session:
            found = await self.db.heads.find_one({"_id": exp_id, "state": LIVE}, session=session)
            if found is None:
                raise NotYours(exp_id)
            head = head_of(found)
            wanted = {"exp_id": exp_id, "epoch": head.epoch, "theta": THERE}
            summed = {"_id": None, "size": {"$sum": {"$bsonSize": "$$ROOT"}}}
            async for row in await self.db.theta.aggregate([{"$match": wanted}, {"$group": summed}], session=session):
                if row["size"] > most_bytes:
                    return None
            in_order = self.db.theta.find(wanted, session=session).sort([("name", 1), ("key", 1), ("value", 1)])
            return head, [_stored(document) async for document in in_order]

    @translate_outages
    async def current(self, exp_id: str, epoch: int, name: str) -> AsyncIterator[StoredTheta]:
        """The thetas of one name that are not deleted, by key and value."""
        found = self.db.theta.find({"exp_id": exp_id, "epoch": epoch, "name": name, "theta": THERE})
        async for document in found.sort([("key", 1), ("value", 1)]):
            yield _stored(document)


def _id(key: ThetaKey, epoch: int) -> str:
    # A value without a key must not meet the key of that name: no escaped part ends in a single backslash.
    keyless = ":\\" if key.key is None and key.value is not None else ""
    return f"{key.exp_id}:{epoch}:{joined(*key[1:])}{keyless}"


def _document(write: ThetaWrite) -> Document:
    key = write.key
    return {
        "_id": _id(key, write.epoch),
        "exp_id": key.exp_id,
        "epoch": write.epoch,
        "name": key.name,
        "key": key.key,
        "value": key.value,
        "seq": write.seq,
        "theta": escaped(write.theta),
    }


def _stored(document: Document) -> StoredTheta:
    key = ThetaKey(document["exp_id"], document["name"], document["key"], document["value"])
    return StoredTheta(key, document["seq"], restored(document["theta"]))
