"""Keeps the counts of actions cheap."""

from __future__ import annotations

from app.storage.store import Store


class CountingJob:
    """Brings the stored counts of actions up to a minute ago."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Fold the counts of every live experiment."""
        now = await self._store.leases.now()
        for head in await self._store.heads.all():
            await self._store.counters.fold(head.exp_id, now)
