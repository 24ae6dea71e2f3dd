"""Theta as it was, once an hour: one row per theta document and hour, whoever takes it and however often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from pymongo import errors

from app.storage.client import Chunk, Document, Storage, only_duplicates
from app.storage.thetas import THERE


class Snapshots(Storage):
    """Takes and reads snapshots; an hour is named by the time at which it began."""

    async def take(self, exp_id: str, epoch: int, hour: datetime, now: datetime) -> None:
        """Snapshot every theta of the experiment that has no snapshot of this hour yet."""
        chunk = Chunk()
        async for theta in self.db.theta.find({"exp_id": exp_id, "epoch": epoch, "theta": THERE}):
            if chunk.add(_row(theta, hour, now)):
                await self._insert(chunk.rows)
                chunk = Chunk()
        await self._insert(chunk.rows)

    async def _insert(self, rows: list[Document]) -> None:
        if not rows:
            return
        try:
            await self.db.theta_snapshots.insert_many(rows, ordered=False)
        except errors.BulkWriteError as error:
            if not only_duplicates(error):
                raise

    async def hours(self, exp_id: str, name: str, before: datetime | None) -> AsyncIterator[datetime]:
        """The hours that have snapshots, newest first."""
        while True:
            wanted: dict[str, Any] = {"exp_id": exp_id, "name": name}
            if before is not None:
                wanted["hour"] = {"$lt": before}
            newest = await self.db.theta_snapshots.find_one(wanted, {"hour": 1}, sort=[("hour", -1)])
            if newest is None:
                return
            before = newest["hour"]
            yield newest["hour"]

    def of_hour(self, exp_id: str, name: str, hour: datetime) -> AsyncIterator[Document]:
        """The snapshots of one hour."""
        found = self.db.theta_snapshots.find({"exp_id": exp_id, "name": name, "hour": hour})
        return found.sort([("key", 1), ("value", 1)])  # type: ignore[no-any-return]


def _row(theta: Document, hour: datetime, now: datetime) -> Document:
    kept = {name: theta[name] for name in ("exp_id", "epoch", "name", "key", "value", "seq", "theta")}
    return {"_id": f"{theta['_id']}@{hour:%Y-%m-%dT%H:%M:%S}", **kept, "hour": hour, "date": now}
