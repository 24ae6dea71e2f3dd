"""The heads: one document per experiment, changed by every commit and so the order of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from app.domain.experiment import DELETING, LIVE, Head
from app.storage.client import Storage
from app.storage.documents import Document
from app.storage.elections import complete_after_election
from app.storage.outages import translate_outages
from app.storage.transactions import Conflict

__all__ = ["DELETING", "LIVE", "HeadMove", "Heads", "head_of"]


@dataclass
class HeadMove:
    """A head that a commit moves on by ``steps``, from exactly the place that was ``expected``."""

    expected: Head
    steps: int = 0
    rewards: int = 0
    last_reward: datetime | None = None


class Heads(Storage):
    """Reads of heads, and the changes that take part in a transaction."""

    @translate_outages
    @complete_after_election
    async def find(self, exp_ids: list[str]) -> dict[str, Head]:
        """The heads that exist, by experiment."""
        found = self.db.heads.find({"_id": {"$in": exp_ids}}, session=self.moment)
        return {document["_id"]: head_of(document) async for document in found}

    @translate_outages
    async def all(self) -> list[Head]:
        """Every live head."""
        return [head_of(document) async for document in self.db.heads.find({"state": LIVE})]

    async def insert(self, exp_id: str, session: AsyncClientSession) -> None:
        """The head of a new experiment."""
        await self.db.heads.insert_one(
            {"_id": exp_id, "seq": 0, "epoch": 1, "revision": 1, "state": LIVE, "rewards": 0, "last_reward": None},
            session=session,
        )

    async def advance(self, moves: list[HeadMove], session: AsyncClientSession) -> None:
        """Move heads on, inside a transaction, if all of them still are what was expected; else ``Conflict``."""
        # In id order, so that two commits over the same heads cannot wait for one another.
        ordered = sorted(moves, key=lambda move: move.expected.exp_id)
        changed = await self.db.heads.bulk_write([_operation(move) for move in ordered], session=session)
        if changed.matched_count != len(moves):
            raise Conflict

    async def fence(
        self,
        exp_id: str,
        session: AsyncClientSession,
        increments: Document | None = None,
        values: Document | None = None,
    ) -> Head | None:
        """Move a live head on whatever its place, which makes every commit under way run again; the head after it."""
        document = await self.db.heads.find_one_and_update(
            {"_id": exp_id, "state": LIVE},
            {"$inc": {"seq": 1, **(increments or {})}, "$set": {"state": LIVE, **(values or {})}},
            return_document=True,
            session=session,
        )
        return head_of(document) if document else None


def _operation(move: HeadMove) -> UpdateOne:
    expected = move.expected
    wanted = {
        "_id": expected.exp_id,
        "seq": expected.seq,
        "epoch": expected.epoch,
        "revision": expected.revision,
        "state": LIVE,
    }
    change: Document = {"$inc": {"seq": move.steps, "rewards": move.rewards}}
    if move.last_reward is not None:
        change["$max"] = {"last_reward": move.last_reward}
    return UpdateOne(wanted, change)


def head_of(document: Document) -> Head:
    """The head in a document."""
    return Head(
        exp_id=document["_id"],
        seq=document["seq"],
        epoch=document["epoch"],
        revision=document["revision"],
        state=document["state"],
        rewards=document["rewards"],
        last_reward=document["last_reward"],
    )
