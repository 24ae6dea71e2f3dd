"""Ends the transactions that killed servers left open."""

from __future__ import annotations

from app.storage.store import Store

# Found within the time that a call may wait, so that those who wait for it are still answered.
_IDLE_SECONDS = 3.0


class OrphanJob:
    """Runs on every server, as it may be the leader that was killed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """End transactions in which nothing was done for some seconds."""
        await self._store.orphans.end(_IDLE_SECONDS)
