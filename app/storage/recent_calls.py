"""The latest calls of an experiment, those that failed and those that did not: a few rows of each, by an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.storage.client import Storage
from app.storage.outages import translate_outages


@dataclass(frozen=True)
class RecentCall:
    """One live call of a script; ``message`` says why it failed, and is None if it did not."""

    script: str
    date: datetime
    revision: int
    message: str | None = None
    line: int | None = None


class RecentCalls(Storage):
    """Reads of at most ``limit`` rows, newest first, however long the logs are."""

    @translate_outages
    async def failed(self, exp_id: str, limit: int) -> list[RecentCall]:
        """Failures of any script."""
        fields = {"_id": 0, "script": 1, "date": 1, "revision": 1, "message": 1, "line": 1}
        found = self.db.errors.find({"exp_id": exp_id}, fields).sort([("date", -1), ("_id", -1)]).limit(limit)
        return [RecentCall(**row) async for row in found]

    @translate_outages
    async def succeeded(self, exp_id: str, script: str, limit: int) -> list[RecentCall]:
        """Decisions if ``script`` is get_action, rewards if it is set_reward."""
        if script == "get_action":
            log, order = self.db.decisions, [("date", -1), ("_id", -1)]
        else:
            log, order = self.db.rewards, [("seq", -1)]
        found = log.find({"exp_id": exp_id}, {"_id": 0, "date": 1, "revision": 1}).sort(order).limit(limit)
        return [RecentCall(script, row["date"], row["revision"]) async for row in found]
