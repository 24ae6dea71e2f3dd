"""The reward log and the other things that change theta: rows sorted by the head's seq."""

from __future__ import annotations

from pymongo.asynchronous.client_session import AsyncClientSession

from app.domain.decision import Reward
from app.domain.events import ThetaEvent
from app.domain.rows import ErrorRow, LogRow
from app.storage.client import Storage
from app.storage.documents import Document, from_document, to_document
from app.storage.elections import complete_after_election
from app.storage.outages import translate_outages


class Rewards(Storage):
    """Accepted rewards."""

    async def insert_in(self, rewards: list[Reward], session: AsyncClientSession) -> None:
        """Insert them as part of a transaction."""
        await self.db.rewards.insert_many([to_document(reward, with_none=False) for reward in rewards], session=session)

    @translate_outages
    @complete_after_election
    async def find(self, ids: list[str]) -> dict[str, Reward]:
        """The rewards that exist, by id; the reward of an advice has the advice's id."""
        found = self.db.rewards.find({"_id": {"$in": ids}})
        return {document["_id"]: reward_of(document) async for document in found}


class Events(Storage):
    """Changes of theta that are no rewards: a get_action that learns, a nested experiment's update, a reset."""

    async def insert_in(self, events: list[ThetaEvent], session: AsyncClientSession) -> None:
        """Insert them as part of a transaction."""
        rows = [{"_id": f"{event.exp_id}:{event.seq}", **vars(event)} for event in events]
        await self.db.events.insert_many(rows, session=session)


class Logs(Storage):
    """What scripts logged with ``log_data``."""

    async def insert_in(self, rows: list[LogRow], session: AsyncClientSession) -> None:
        """Insert them as part of a transaction."""
        await self.db.logs.insert_many([to_document(row) for row in rows], session=session)


class ScriptErrors(Storage):
    """What went wrong in scripts, for their owners."""

    @translate_outages
    async def insert(self, rows: list[ErrorRow]) -> None:
        """Add rows."""
        await self.db.errors.insert_many([to_document(row) for row in rows], ordered=False)


def reward_of(document: Document) -> Reward:
    """The reward in a document."""
    return from_document(Reward, document)
