"""Experiments as they are now, and every revision they had."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime

from pymongo.asynchronous.client_session import AsyncClientSession

from app.domain.experiment import Experiment, ExperimentListItem, ExperimentSpec, Head
from app.domain.rows import Revision, RevisionListItem
from app.errors import EditedMeanwhile, NameTaken, NotYours, ThetaNotThere
from app.storage.client import Connection, Storage
from app.storage.documents import Document, from_document, to_document
from app.storage.elections import complete_after_election
from app.storage.heads import DELETING, Heads
from app.storage.indexes import ALPHABETICAL
from app.storage.outages import translate_outages
from app.storage.thetas import THERE
from app.storage.transactions import Transactions


class Experiments(Storage):
    """Experiments and revisions; every change goes through the head, which fences what is under way."""

    def __init__(self, connection: Connection, heads: Heads, transactions: Transactions) -> None:
        super().__init__(connection)
        self._heads = heads
        self._transactions = transactions

    @translate_outages
    @complete_after_election
    async def find(self, exp_id: str) -> Experiment | None:
        """The experiment as it is now."""
        document = await self.db.experiments.find_one({"_id": exp_id}, session=self.moment)
        return experiment_of(document) if document else None

    @translate_outages
    async def of_owner(self, owner: str) -> list[Experiment]:
        """All experiments of a user, by name."""
        found = self.db.experiments.find({"owner": owner}).sort("name", 1)
        return [experiment_of(document) async for document in found]

    @translate_outages
    async def listed(self, owner: str, search: str, skip: int, limit: int) -> tuple[list[ExperimentListItem], int]:
        """Some of a user's experiments whose names contain ``search``, in alphabetical order, and their number."""
        # A collation compares the owners as well, and a Kelvin sign equals a K to it; a regular expression is exact.
        wanted: Document = {"$and": [{"owner": owner}, {"owner": {"$regex": f"^{re.escape(owner)}$"}}]}
        if search:
            wanted["name"] = {"$regex": re.escape(search), "$options": "i"}
        fields = {"name": 1, "created": 1, "has_policy": {"$ne": ["$get_action", ""]}}
        found = self.db.experiments.find(wanted, fields).collation(ALPHABETICAL)
        found = found.sort([("name", 1), ("_id", 1)]).skip(skip).limit(limit)
        rows = [ExperimentListItem(row["_id"], row["name"], row["created"], row["has_policy"]) async for row in found]
        return rows, await self.db.experiments.count_documents(wanted)

    @translate_outages
    async def with_snapshots(self) -> list[str]:
        """The experiments whose theta is to be snapshotted."""
        return [row["_id"] async for row in self.db.experiments.find({"hourly_theta": True}, {"_id": 1})]

    @translate_outages
    async def insert(self, experiment: Experiment, note: str = "") -> None:
        """Create it with its head and its first revision; ``NameTaken`` if its owner has one of that name."""

        async def body(session: AsyncClientSession) -> None:
            await self._refuse_taken_name(experiment, session)
            await self.db.experiments.insert_one(to_document(experiment), session=session)
            await self._heads.insert(experiment.id, session)
            await self.db.revisions.insert_one(_revision(experiment, experiment.owner, note), session=session)

        await self._transactions.run(body)

    @translate_outages
    async def replace(
        self, experiment: Experiment, user: str, note: str = "", expected: int | None = None
    ) -> Experiment:
        """Make it the next revision, of ``expected`` if that is given; returns it with the revision's number."""
        saved = experiment

        async def body(session: AsyncClientSession) -> None:
            nonlocal saved
            await self._refuse_taken_name(experiment, session)
            head = await self._heads.fence(experiment.id, session, {"revision": 1})
            if head is None:
                raise NotYours(experiment.id)
            if expected not in (None, head.revision - 1):
                raise EditedMeanwhile(head.revision - 1)
            saved = dataclasses.replace(experiment, revision=head.revision)
            await self.db.experiments.replace_one({"_id": saved.id}, to_document(saved), session=session)
            await self.db.revisions.insert_one(_revision(saved, user, note), session=session)

        await self._transactions.run(body)
        return saved

    @translate_outages
    async def delete(self, exp_id: str) -> None:
        """Fence it and take it from the list; what it holds is purged afterwards."""

        async def body(session: AsyncClientSession) -> None:
            if (
                await self._heads.fence(exp_id, session, values={"state": DELETING, "deleted": datetime.now(UTC)})
                is None
            ):
                raise NotYours(exp_id)
            row = await self.db.experiments.find_one_and_delete({"_id": exp_id}, session=session)
            kept = {"_id": f"experiments:{exp_id}", "exp_id": exp_id, "collection": "experiments", "row": row}
            await self.db.archive.insert_one(kept, session=session)

        await self._transactions.run(body)

    @translate_outages
    async def reset(self, exp_id: str, user: str) -> int:
        """Begin a new epoch, without any theta; how many thetas there were."""
        count = 0

        async def body(session: AsyncClientSession) -> None:
            nonlocal count
            head = await self._heads.fence(exp_id, session, {"epoch": 1}, {"reset": datetime.now(UTC)})
            if head is None:
                raise NotYours(exp_id)
            wanted = {"exp_id": exp_id, "epoch": head.epoch - 1, "theta": THERE}
            count = await self.db.theta.count_documents(wanted, session=session)
            await self.db.events.insert_one(_reset_event(head, user, {}), session=session)

        await self._transactions.run(body)
        return count

    @translate_outages
    async def forget_theta(self, exp_id: str, user: str, key: str, value: str | None) -> int:
        """Delete the thetas of one key, or of one value of it; how many there were."""
        named = {"key": key} | ({} if value is None else {"value": value})
        count = 0

        async def body(session: AsyncClientSession) -> None:
            nonlocal count
            head = await self._heads.fence(exp_id, session)
            if head is None:
                raise NotYours(exp_id)
            wanted = {"exp_id": exp_id, "epoch": head.epoch, "theta": THERE, **named}
            gone = {"$set": {"theta": None, "seq": head.seq}}
            count = (await self.db.theta.update_many(wanted, gone, session=session)).modified_count
            if not count:
                raise ThetaNotThere(key, value)
            await self.db.events.insert_one(_reset_event(head, user, named), session=session)

        await self._transactions.run(body)
        return count

    @translate_outages
    async def revisions(self, exp_id: str) -> list[RevisionListItem]:
        """All revisions, newest first, without their scripts."""
        fields = {"revision": 1, "date": 1, "user": 1, "note": 1, "_id": 0}
        found = self.db.revisions.find({"exp_id": exp_id}, fields)
        return [from_document(RevisionListItem, row) async for row in found.sort("revision", -1)]

    @translate_outages
    async def revision(self, exp_id: str, number: int) -> Revision | None:
        """One revision with everything it had."""
        row = await self.db.revisions.find_one({"_id": f"{exp_id}:{number}"})
        return from_document(Revision, row | {"spec": from_document(ExperimentSpec, row)}) if row else None

    async def _refuse_taken_name(self, experiment: Experiment, session: AsyncClientSession) -> None:
        taken = {"owner": experiment.owner, "name": experiment.name, "_id": {"$ne": experiment.id}}
        if await self.db.experiments.find_one(taken, {"_id": 1}, session=session):
            raise NameTaken("name", experiment.name)


def experiment_of(document: Document) -> Experiment:
    """The experiment in a document."""
    return from_document(Experiment, document)


def _reset_event(head: Head, user: str, named: Document) -> Document:
    names = {"_id": f"{head.exp_id}:{head.seq}", "exp_id": head.exp_id, "seq": head.seq, "epoch": head.epoch}
    return {**names, "date": datetime.now(UTC), "kind": "reset", "user": user, **named}


def _revision(experiment: Experiment, user: str, note: str) -> Document:
    editable = {k: v for k, v in to_document(experiment).items() if k not in ("_id", "key", "owner", "created")}
    names = {"_id": f"{experiment.id}:{experiment.revision}", "exp_id": experiment.id}
    return {**names, **editable, "date": datetime.now(UTC), "user": user, "note": note}
