"""How many actions an experiment gave: a stored total up to a horizon, plus a count of the newer rows.

The horizon lies so far back that no insert can still be under way behind it, clocks apart included. So the sum is
exact, no call writes a counter, and counting costs the same however long the log is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from app.storage.client import Storage
from app.storage.outages import translate_outages

HORIZON = timedelta(seconds=60)


class Counters(Storage):
    """Totals by experiment."""

    @translate_outages
    async def actions(self, exp_id: str) -> int:
        """The exact number of decisions."""
        while True:
            total, horizon = await self._stored(exp_id)
            newer = await self._count(exp_id, horizon, None)
            if (await self._stored(exp_id))[1] == horizon:  # else it was folded between the two reads
                return total + newer

    @translate_outages
    async def fold(self, exp_id: str, now: datetime) -> None:
        """Move the horizon up to a minute ago; done twice at once, only one of the two counts."""
        total, horizon = await self._stored(exp_id)
        until = now - HORIZON
        if horizon is not None and until <= horizon:
            return
        newer = await self._count(exp_id, horizon, until)
        if newer and horizon is None:
            # The first total: whoever inserts it wins, the other's insert is refused by the id.
            await self.db.counters.update_one(
                {"_id": exp_id}, {"$setOnInsert": {"actions": newer, "horizon": until}}, upsert=True
            )
        elif newer:
            await self.db.counters.update_one(
                {"_id": exp_id, "horizon": horizon}, {"$set": {"actions": total + newer, "horizon": until}}
            )

    async def _stored(self, exp_id: str) -> tuple[int, datetime | None]:
        row = await self.db.counters.find_one({"_id": exp_id})
        return (row["actions"], row["horizon"]) if row else (0, None)

    async def _count(self, exp_id: str, after: datetime | None, until: datetime | None) -> int:
        dates = ({"$gt": after} if after else {}) | ({"$lte": until} if until else {})
        wanted = {"exp_id": exp_id} | ({"date": dates} if dates else {})
        return await self.db.decisions.count_documents(wanted)
