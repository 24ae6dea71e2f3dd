"""Moves what deleted experiments left behind, and deletes what resets did."""

from __future__ import annotations

from datetime import timedelta

from app.jobs.times import Times
from app.storage.store import Store


class PurgeJob:
    """Works in chunks; after a kill it goes on where it was."""

    def __init__(self, store: Store, times: Times) -> None:
        self._store = store
        self._times = times

    async def run(self) -> None:
        """Move and delete everything that was deleted or reset long enough ago."""
        ripe = await self._store.leases.now() - timedelta(seconds=self._times.purge_after)
        for exp_id in await self._store.archive.deleted_before(ripe):
            await self._store.archive.move(exp_id)
        for head in await self._store.archive.reset_before(ripe):
            await self._store.archive.drop_old_thetas(head)
