"""Who runs the jobs: one server at a time, by the clock of MongoDB. It saves work; it makes nothing right."""

from __future__ import annotations

from datetime import UTC, datetime

from pymongo import errors

from app.storage.client import UNDECODED, Storage
from app.storage.outages import translate_outages


class Leases(Storage):
    """Leases by name."""

    @translate_outages
    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Take the lease or keep it for so many seconds; whether the owner has it now."""
        over = {"$lte": [{"$ifNull": ["$until", datetime.fromtimestamp(0, UTC)]}, "$$NOW"]}
        free = {"$or": [{"$eq": ["$owner", owner]}, over]}
        until = {"$add": ["$$NOW", int(seconds * 1000)]}
        taken = [{"$set": {"owner": {"$cond": [free, owner, "$owner"]}, "until": {"$cond": [free, until, "$until"]}}}]
        leases = self.db.leases.with_options(codec_options=UNDECODED)
        while True:
            try:
                row = await leases.find_one_and_update({"_id": name}, taken, upsert=True, return_document=True)
            except errors.DuplicateKeyError:  # two first holders at once: the other's row is there now
                continue
            return row is not None and bool(row["owner"] == owner)

    @translate_outages
    async def give_up(self, name: str, owner: str) -> None:
        """Let another server take it at once."""
        await self.db.leases.delete_one({"_id": name, "owner": owner})

    @translate_outages
    async def now(self) -> datetime:
        """MongoDB's time."""
        hello = await self.db.command("hello")
        # Answers to commands are decoded without the client's tz_aware.
        return hello["localTime"].replace(tzinfo=UTC)  # type: ignore[no-any-return]

    @translate_outages
    async def last(self, name: str) -> datetime | None:
        """When something was last done, as ``done`` noted it."""
        row = await self.db.leases.find_one({"_id": name})
        return row["done"] if row else None

    @translate_outages
    async def done(self, name: str, when: datetime) -> None:
        """Note that it was done."""
        await self.db.leases.update_one({"_id": name}, {"$max": {"done": when}}, upsert=True)
