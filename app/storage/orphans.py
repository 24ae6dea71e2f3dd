"""Transactions that a killed server left open.

MongoDB keeps them for a minute, and as long as they hold an experiment's head, no other server can commit to it.
"""

from __future__ import annotations

from pymongo import errors

from app.storage.client import APPLICATION, Storage
from app.storage.outages import translate_outages


class Orphans(Storage):
    """Finds and ends them."""

    @translate_outages
    async def end(self, seconds: float) -> int:
        """End transactions of servers in which nothing was done for so long; how many there were.

        One that is wrongly taken for such is run again like any that met another. An account that may not ask about
        sessions leaves them to MongoDB.
        """
        abandoned = {
            "type": "idleSession",
            "appName": APPLICATION,
            "transaction.timeInactiveMicros": {"$gt": int(seconds * 1e6)},
        }
        admin = self.db.client.admin
        try:
            found = await admin.aggregate([{"$currentOp": {"idleSessions": True}}, {"$match": abandoned}])
            sessions = [{"id": row["lsid"]["id"]} async for row in found]
            if sessions:
                await admin.command("killSessions", sessions)
        except errors.OperationFailure:
            return 0
        return len(sessions)
