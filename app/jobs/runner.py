"""Runs the jobs, on one server at a time.

Every job is right however often and on however many servers it runs, because each thing it does has an id of its own
or goes through the engine; the lease only saves work. A leader that stops loses the lease after some seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from app.domain.ids import new_id
from app.engine.api import EngineAPI
from app.errors import ThetaloopError
from app.jobs.counting import CountingJob
from app.jobs.files import FileJob
from app.jobs.orphans import OrphanJob
from app.jobs.purging import PurgeJob
from app.jobs.snapshots import SnapshotJob
from app.jobs.timeouts import TimeoutJob
from app.jobs.times import Times
from app.storage.store import Store

_LEASE = "jobs"
_LEASE_SECONDS = 10.0
_BEAT_SECONDS = 3.0
_STOP_SECONDS = 10.0
# Counting assumes that no decision is dated a minute before its insert.
_CLOCKS_APART_SECONDS = 10.0
_log = logging.getLogger("thetaloop")


class Jobs:
    """The jobs of one server."""

    def __init__(self, store: Store, engine: EngineAPI, times: Times) -> None:
        self._store = store
        self._times = times
        self.snapshots = SnapshotJob(store, times)
        self.timeouts = TimeoutJob(store, engine)
        self.orphans = OrphanJob(store)
        self.counting = CountingJob(store)
        self.purging = PurgeJob(store, times)
        self.files = FileJob(store)
        self._owner = new_id()
        self._leading = False
        self._warned = False
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduler = AsyncIOScheduler(timezone=UTC)

    async def start(self) -> None:
        """Begin; the first server to come leads."""
        # What goes wrong in a job is logged here; that one was cancelled at the end is no error.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        await self._beat()
        self._every(_BEAT_SECONDS, self._guarded(self._beat))
        self._every(_BEAT_SECONDS, self._guarded(self.orphans.run))
        self._every(self._times.snapshot_tick, self._led(self.snapshots.run))
        self._every(self._times.timeouts, self._led(self.timeouts.run))
        self._every(self._times.fold, self._led(self.counting.run))
        self._every(self._times.purge, self._led(self.purging.run))
        self._every(self._times.purge, self._led(self.files.run))
        self._scheduler.start()

    async def stop(self) -> None:
        """Let what is under way come to its end, then let another server lead."""
        if self._scheduler.running:
            self._scheduler.pause()
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=_STOP_SECONDS)
            self._scheduler.shutdown(wait=False)
        if self._leading:
            self._leading = False
            await self._guarded(lambda: self._store.leases.give_up(_LEASE, self._owner))()

    async def _beat(self) -> None:
        apart = abs((datetime.now(UTC) - await self._store.leases.now()).total_seconds())
        if apart > _CLOCKS_APART_SECONDS and not self._warned:
            _log.warning("this server's clock and MongoDB's are %.0f s apart; set them by NTP", apart)
            self._warned = True
        self._leading = await self._store.leases.hold(_LEASE, self._owner, _LEASE_SECONDS)

    def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        self._scheduler.add_job(
            job,
            "interval",
            seconds=seconds,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
            next_run_time=datetime.now(UTC),
        )

    def _led(self, job: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if self._leading:
                await self._guarded(job)()

        return run

    def _guarded(self, job: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def attempt() -> None:
            try:
                await job()
            except ThetaloopError as error:
                _log.warning("a job will be tried again: %s", error)
            except Exception:
                _log.exception("a job failed")

        async def run() -> None:
            # A task of its own: the scheduler would cancel its own when it is shut down.
            task = asyncio.create_task(attempt())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await asyncio.shield(task)

        return run
