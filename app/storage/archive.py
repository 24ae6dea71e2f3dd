"""What remains of a deleted experiment: all its rows, moved out of the way in chunks that a kill cannot tear."""

from __future__ import annotations

from datetime import datetime

from pymongo import errors

from app.domain.experiment import Head
from app.storage.client import Storage
from app.storage.documents import Chunk, Document, only_duplicates
from app.storage.files import EXPERIMENT_GONE
from app.storage.heads import DELETING, head_of
from app.storage.outages import translate_outages

# The experiment's own document was moved when it was deleted; its head goes last, as it says that there is work.
_MOVED = ("decisions", "rewards", "events", "logs", "errors", "theta", "theta_snapshots", "revisions")
_DROPPED = ("requests", "simulations", "simulation_chunks")


class Archive(Storage):
    """Moves rows of deleted experiments, and deletes thetas that a reset left behind."""

    @translate_outages
    async def deleted_before(self, date: datetime) -> list[str]:
        """Experiments that were deleted before ``date`` and are not yet moved."""
        wanted = {"state": DELETING, "deleted": {"$lte": date}}
        return [head["_id"] async for head in self.db.heads.find(wanted, {"_id": 1})]

    @translate_outages
    async def move(self, exp_id: str) -> None:
        """Move everything the experiment has; begun again after a kill, it goes on where it was."""
        for collection in _MOVED:
            while rows := await self._chunk(collection, exp_id):
                await self._keep(collection, exp_id, rows)
                await self.db[collection].delete_many({"_id": {"$in": [row["_id"] for row in rows]}})
        for collection in _DROPPED:
            await self.db[collection].delete_many({"exp_id": exp_id})
        await self.db.files.update_many({"exp_id": exp_id}, {"$set": {"expires": EXPERIMENT_GONE}})
        for collection in ("counters", "heads"):
            rows = [row async for row in self.db[collection].find({"_id": exp_id})]
            if rows:
                await self._keep(collection, exp_id, rows)
                await self.db[collection].delete_one({"_id": exp_id})

    async def _chunk(self, collection: str, exp_id: str) -> list[Document]:
        chunk = Chunk()
        async for row in self.db[collection].find({"exp_id": exp_id}):
            if chunk.add(row):
                break
        return chunk.rows

    async def _keep(self, collection: str, exp_id: str, rows: list[Document]) -> None:
        kept = [
            {"_id": f"{collection}:{row['_id']}", "exp_id": exp_id, "collection": collection, "row": row}
            for row in rows
        ]
        try:
            await self.db.archive.insert_many(kept, ordered=False)
        except errors.BulkWriteError as error:
            if not only_duplicates(error):
                raise

    @translate_outages
    async def reset_before(self, date: datetime) -> list[Head]:
        """Heads of experiments that were reset before ``date`` and whose old thetas are still there."""
        return [head_of(head) async for head in self.db.heads.find({"reset": {"$lte": date}})]

    @translate_outages
    async def drop_old_thetas(self, head: Head) -> None:
        """Delete the thetas of epochs that are over."""
        while True:
            wanted = {"exp_id": head.exp_id, "epoch": {"$lt": head.epoch}}
            ids = [row["_id"] async for row in self.db.theta.find(wanted, {"_id": 1}).limit(5_000)]
            if not ids:
                break
            await self.db.theta.delete_many({"_id": {"$in": ids}})
        done = {"_id": head.exp_id, "epoch": head.epoch}
        await self.db.heads.update_one(done, {"$unset": {"reset": 1}})
