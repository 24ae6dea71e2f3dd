"""What happens on a clock, on one server at a time: snapshots, time-outs, folding of counters, purging.

Every job is right however often and on however many servers it runs, because each thing it does has an id of its own
or goes through the head; the lease only saves work. A leader that stops loses the lease after some seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from app.domain.decision import Decision
from app.domain.ids import new_id
from app.engine.engine import Engine
from app.errors import KeyRefused, ScriptFailed, ThetaloopError
from app.jobs.times import Times
from app.storage.store import Store

_LEASE = "jobs"
_LEASE_SECONDS = 10.0
_BEAT_SECONDS = 3.0
_STOP_SECONDS = 10.0
# Found within the time that a call may wait, so that those who wait for it are still answered.
_ORPHAN_SECONDS = 3.0
_TIMEOUTS_AT_ONCE = 100
# Counting assumes that no decision is dated a minute before its insert.
_CLOCKS_APART_SECONDS = 10.0
_log = logging.getLogger("thetaloop")


class Jobs:
    """The jobs of one server."""

    def __init__(self, store: Store, engine: Engine, times: Times) -> None:
        self._store = store
        self._engine = engine
        self._times = times
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
        self._every(_BEAT_SECONDS, self._guarded(self.end_orphans))
        self._every(self._times.snapshot_tick, self._led(self.snapshot))
        self._every(self._times.timeouts, self._led(self.time_out))
        self._every(self._times.fold, self._led(self.fold))
        self._every(self._times.purge, self._led(self.purge))
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

    # The jobs ------------------------------------------------------------------------------------------------------

    async def snapshot(self) -> None:
        """Once in every interval of the clock, keep theta of each experiment that asks for it."""
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

    async def time_out(self) -> None:
        """Give advices that waited too long their default reward, in small batches, until none is left."""
        deleted: set[str] = set()  # about to be moved away
        now = await self._store.leases.now()
        while overdue := await self._store.decisions.overdue(now, deleted, _TIMEOUTS_AT_ONCE):
            settled = await asyncio.gather(*map(self._default, overdue), return_exceptions=True)
            failures = [outcome for outcome in settled if isinstance(outcome, Exception)]
            if failures:
                raise failures[0]  # the next tick tries again
            deleted |= {decision.exp_id for decision, done in zip(overdue, settled, strict=True) if not done}

    async def _default(self, decision: Decision) -> bool:
        """Record one default reward; False if its experiment is gone."""
        try:
            live = await self._engine.get(decision.exp_id)
            await live.set_reward(decision.default_reward or {}, advice_id=decision.id, default=True)
        except ScriptFailed:
            await self._store.decisions.give_up(decision.id)
        except KeyRefused:
            return False
        return True

    async def end_orphans(self) -> None:
        """End what killed servers had open; on every server, as it may be the leader that was killed."""
        await self._store.orphans.end(_ORPHAN_SECONDS)

    async def fold(self) -> None:
        """Bring the stored counts of actions up to a minute ago."""
        now = await self._store.leases.now()
        for head in await self._store.heads.all():
            await self._store.counters.fold(head.exp_id, now)

    async def purge(self) -> None:
        """Move what deleted experiments left behind, and delete what resets did."""
        ripe = await self._store.leases.now() - timedelta(seconds=self._times.purge_after)
        for exp_id in await self._store.archive.deleted_before(ripe):
            await self._store.archive.move(exp_id)
        for head in await self._store.archive.reset_before(ripe):
            await self._store.archive.drop_old_thetas(head)

    # Running them --------------------------------------------------------------------------------------------------

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
