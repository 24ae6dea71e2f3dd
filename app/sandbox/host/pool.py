"""Workers for experiments: at most so many processes, each serving one experiment and never another.

A script can leave something behind in the modules of its worker, and without this layer the next experiment would find
it. A worker is leased for one batch; ``assignment`` decides who gets which, this module starts, hands over and kills.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from app.errors import SandboxUnavailable
from app.sandbox.host.assignment import Assignment, LeaseRequest, Slot
from app.sandbox.host.channel import Worker, WorkerLost
from app.sandbox.host.zygote_client import Source
from app.sandbox.protocol import Checked, CheckScripts, Fault, decode_reply, encode

_IDLE_SECONDS = 300.0
_TENDING_SECONDS = 5.0
_CHECK_SECONDS = 5.0
_OPTIONAL_LAYERS = ("landlock", "namespaces", "empty_root", "privileges")
_TOO_MUCH = "one of the scripts cannot be compiled: it takes too much time or memory"
_log = logging.getLogger("thetaloop")


class Pool:
    """The workers of one server process; with ``single_use`` every lease gets a worker that served nobody before."""

    def __init__(
        self, source: Source, max_workers: int, *, single_use: bool = False, idle_seconds: float = _IDLE_SECONDS
    ) -> None:
        self._source = source
        self._idle_seconds = idle_seconds
        self._assignment: Assignment[Worker] = Assignment(max_workers, single_use=single_use, idle_seconds=idle_seconds)
        self._ready: dict[LeaseRequest[Worker], asyncio.Future[Worker]] = {}
        self._running = False
        self._tending: asyncio.Task[None] | None = None
        self._starting: set[asyncio.Task[None]] = set()

    @property
    def active(self) -> dict[str, Any]:
        """The confinement layers that hold, or why there are none."""
        return self._source.active

    async def confinement(self) -> dict[str, Any]:
        """Return ``active``; a coroutine, because the workers may be those of another process."""
        return self.active

    async def start(self) -> None:
        """Start the source and the spare workers. Where scripts cannot be run, log why: the server does without."""
        try:
            await self._source.start()
            missing = [layer for layer in _OPTIONAL_LAYERS if not self.active.get(layer, True)]
            if missing:
                _log.warning("this system lacks these confinement layers, so scripts run without them: %s", missing)
        except SandboxUnavailable as error:
            _log.error("%s", error)
        self._running = True
        self._tending = asyncio.create_task(self._tend())

    async def stop(self) -> None:
        """Kill every worker and end the source; whoever still waits for a worker gets ``SandboxUnavailable``."""
        self._running = False
        tasks = [*self._starting, *([self._tending] if self._tending else [])]
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for slot in self._assignment.slots:
            if slot.worker is not None:
                slot.worker.kill()
        for ready in self._ready.values():
            if not ready.done():
                ready.set_exception(SandboxUnavailable("the server is stopping"))
        await self._source.stop()

    @asynccontextmanager
    async def lease(self, key: Hashable) -> AsyncIterator[Worker]:
        """Lease the worker of ``key`` to this caller alone; the same as last time unless it ended or had to make room.

        Leases are given in the order in which they are asked for. Raises ``SandboxUnavailable`` if no process can be
        started. A caller that is cancelled loses its place and nothing else.
        """
        request: LeaseRequest[Worker] = LeaseRequest(key)
        ready = self._ready[request] = asyncio.get_running_loop().create_future()
        self._assignment.add(request)
        self._assign()
        try:
            yield await ready
        finally:
            del self._ready[request]
            self._assignment.release(request)
            self._assign()

    async def check(self, scripts: dict[str, str], *, lint: bool) -> list[Fault]:
        """Return what is wrong with the scripts; a worker of its own compiles them, as that can be an attack too."""
        async with self.lease(object()) as worker:
            try:
                answer = decode_reply(await worker.request(encode(CheckScripts(scripts, lint)), _CHECK_SECONDS))
            except (WorkerLost, msgspec.MsgspecError):
                return [Fault(next(iter(scripts)), 1, 1, _TOO_MUCH)]
            finally:
                worker.kill()
            return answer.faults if isinstance(answer, Checked) else []

    def forget(self, key: Hashable) -> None:
        """End the worker of ``key``, if it has one and nobody leases it."""
        self._assignment.expire(key)
        self._assign()

    def expire_spares(self) -> None:
        """End the spare workers: what killed another worker from outside may have killed them, unnoticed so far."""
        self._assignment.expire_spares()
        self._assign()

    def _assign(self, *, fork_ahead: bool = True) -> None:
        """Let ``assignment`` decide, and carry it out."""
        changes = self._assignment.assign(time.monotonic(), fork_ahead=fork_ahead and self._running)
        for worker in changes.kill:
            worker.kill()
        for request, worker in changes.serve:
            if not self._ready[request].done():  # else its caller was cancelled just now, and will release it
                self._ready[request].set_result(worker)
        for slot in changes.start:
            task = asyncio.create_task(self._start_worker(slot))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start_worker(self, slot: Slot[Worker]) -> None:
        # A task of its own: a caller that is cancelled must not take along a process that others wait for.
        try:
            self._assignment.started(slot, await self._source.spawn())
        except Exception as error:
            request = self._assignment.failed(slot)
            if request is not None and not self._ready[request].done():
                self._ready[request].set_exception(error)
            elif not isinstance(error, SandboxUnavailable):
                _log.exception("a spare worker could not be started")
            self._assign(fork_ahead=False)  # or one failure would follow another without a pause
        else:
            self._assign()

    async def _tend(self) -> None:
        """End workers that nobody has used for a while, and bring up spare ones for those that died."""
        while True:
            self._assign()
            await asyncio.sleep(min(_TENDING_SECONDS, self._idle_seconds))
