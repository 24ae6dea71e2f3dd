"""Keeps theta as it was, once in every interval of the clock."""

from __future__ import annotations

from app.jobs.times import Times
from app.storage.store import Store


class SnapshotJob:
    """Snapshots theta of each experiment that asks for it. Its id names the interval, so none is doubled."""

    def __init__(self, store: Store, times: Times) -> None:
        self._store = store
        self._times = times

    async def run(self) -> None:
        """Take the snapshots of the present interval, unless they were taken."""
        now = await self._store.leases.now()
        begun = self._times.interval_of(now)
        done = await self._store.leases.last("snapshots")
        if done is not None and done >= begun:
            return
        for exp_id in await self._store.experiments.with_snapshots():
            head = (await self._store.heads.find([exp_id])).get(exp_id)
            if head is not None:
                await self._store.snapshots.take(exp_id, head.epoch, begun, now)
        await self._store.leases.done("snapshots", begun)
