"""The action log: one row per answered getaction, and the advices that wait for a reward."""

from __future__ import annotations

from datetime import datetime

from pymongo.asynchronous.client_session import AsyncClientSession

from app.domain.decision import Decision
from app.storage.client import Connection, Storage
from app.storage.documents import Document, from_document, to_document
from app.storage.elections import LINEARIZABLE, complete_after_election
from app.storage.inserts import Inserts
from app.storage.outages import translate_outages
from app.storage.transactions import Conflict


class Decisions(Storage):
    """Inserts, claims and reads of decisions."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._inserts = Inserts(self.db.decisions)

    @translate_outages
    async def insert(self, decisions: list[Decision], deadline: float, size: int = 0) -> None:
        """Insert them all, as ``Inserts.add`` does."""
        await self._inserts.add([to_document(decision, with_none=False) for decision in decisions], deadline, size)

    async def insert_in(self, decisions: list[Decision], session: AsyncClientSession) -> None:
        """Insert them as part of a transaction."""
        await self.db.decisions.insert_many(
            [to_document(decision, with_none=False) for decision in decisions], session=session
        )

    @translate_outages
    @complete_after_election
    async def find(self, exp_id: str, ids: list[str]) -> dict[str, Decision]:
        """The decisions of an experiment, by id."""
        found = self.db.decisions.find({"_id": {"$in": ids}, "exp_id": exp_id})
        return {document["_id"]: decision_of(document) async for document in found}

    @translate_outages
    async def find_linearizable(self, exp_id: str, ids: list[str]) -> dict[str, Decision]:
        """The same, from a primary that has made sure that no other one was elected unnoticed.

        That costs as much as a commit: for answers that a caller takes as final.
        """
        sure = self.db.decisions.with_options(read_concern=LINEARIZABLE)
        found = sure.find({"_id": {"$in": ids}, "exp_id": exp_id})
        return {document["_id"]: decision_of(document) async for document in found}

    async def claim(self, ids: list[str], status: str, session: AsyncClientSession) -> None:
        """Move decisions without a reward on to ``status``, inside a transaction; ``Conflict`` unless all had none."""
        wanted = {"_id": {"$in": ids}, "status": {"$in": ["pending", "timeout_failed"]}}
        changed = await self.db.decisions.update_many(wanted, {"$set": {"status": status}}, session=session)
        if changed.modified_count != len(ids):
            raise Conflict

    @translate_outages
    async def overdue(self, now: datetime, without: set[str], limit: int) -> list[Decision]:
        """Pending decisions whose time was over at ``now``, longest first, but of the experiments in ``without``."""
        wanted = {"status": "pending", "expires_at": {"$lte": now}, "exp_id": {"$nin": list(without)}}
        return [decision_of(row) async for row in self.db.decisions.find(wanted).sort("expires_at", 1).limit(limit)]

    @translate_outages
    async def give_up(self, decision_id: str) -> None:
        """Note that the default reward of a decision cannot be recorded, so that nobody tries for ever."""
        wanted = {"_id": decision_id, "status": "pending"}
        await self.db.decisions.update_one(wanted, {"$set": {"status": "timeout_failed"}})

    @translate_outages
    async def last_date(self, exp_id: str) -> datetime | None:
        """When the newest was made."""
        newest = await self.db.decisions.find_one({"exp_id": exp_id}, {"date": 1}, sort=[("date", -1), ("_id", -1)])
        return newest["date"] if newest else None


def decision_of(document: Document) -> Decision:
    """The decision in a document."""
    return from_document(Decision, {"propensity": None} | document)
