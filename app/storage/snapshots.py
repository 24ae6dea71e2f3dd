"""Theta as it was, once an hour: one row per theta document and hour, whoever takes it and however often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from pymongo import errors

from app.domain.rows import ThetaSnapshot
from app.domain.theta import ThetaKey, as_theta
from app.storage.client import Storage
from app.storage.documents import Chunk, Document, only_duplicates
from app.storage.keys import restored
from app.storage.outages import translate_outages
from app.storage.thetas import THERE


class Snapshots(Storage):
    """Takes and reads snapshots; an hour is named by the time at which it began."""

    @translate_outages
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

    @translate_outages
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

    @translate_outages
    async def of_hour(self, exp_id: str, name: str, hour: datetime) -> ThetaSnapshot | None:
        """The snapshot of one hour; None if it is not there any more."""
        found = self.db.theta_snapshots.find({"exp_id": exp_id, "name": name, "hour": hour})
        rows = [row async for row in found.sort([("key", 1), ("value", 1)])]
        if not rows:
            return None
        thetas = [(ThetaKey(exp_id, name, row["key"], row["value"]), restored(row["theta"])) for row in rows]
        return ThetaSnapshot(rows[0]["date"], as_theta(thetas))


def _row(theta: Document, hour: datetime, now: datetime) -> Document:
    kept = {name: theta[name] for name in ("exp_id", "epoch", "name", "key", "value", "seq", "theta")}
    return {"_id": f"{theta['_id']}@{hour:%Y-%m-%dT%H:%M:%S}", **kept, "hour": hour, "date": now}
