"""Workers for experiments: at most so many processes, each serving one experiment and never another.

The wall between experiments: a script can leave something behind in the modules of its worker, and without this one
the next experiment would find it.

A worker is leased for one batch. A few are forked ahead, so that the first call of an experiment does not wait for
one. Where more experiments are active than there may be workers, those that wait are served in the order in which
they came: the least recently used idle worker makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from app.errors import SandboxUnavailable
from app.sandbox.host.channel import Worker, WorkerLost
from app.sandbox.host.zygote_client import Source
from app.sandbox.protocol import Checked, CheckScripts, Fault, decode_reply, encode

_SPARES = 3
# Bounds on what a worker can pile up in its memory, by mistake or on purpose.
_LIFETIME_SECONDS = 1800.0
_LIFETIME_FRAMES = 10_000
_IDLE_SECONDS = 300.0
_TENDING_SECONDS = 5.0
_CHECK_SECONDS = 5.0
_DISPENSABLE = ("landlock", "namespaces", "empty_root", "privileges")
_TOO_MUCH = "one of the scripts cannot be compiled: it takes too much time or memory"
_log = logging.getLogger("thetaloop")


class Pool:
    """The workers of one server process; with ``single_use`` every lease gets a worker that served nobody before."""

    def __init__(
        self, source: Source, max_workers: int, *, single_use: bool = False, idle_seconds: float = _IDLE_SECONDS
    ) -> None:
        self._source = source
        self._max = max_workers
        self._single_use = single_use
        self._idle_seconds = idle_seconds
        self._workers: OrderedDict[Hashable, Worker] = OrderedDict()
        self._leased: set[Hashable] = set()
        # A lock lives as long as somebody holds it or waits for it.
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        self._spares: deque[Worker] = deque()
        self._reserved = 0  # places of workers that are being started or handed over
        self._forking = False  # whether one of these places is of a spare worker, for whoever comes first
        self._waiting: deque[asyncio.Future[Worker | None]] = deque()
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def active(self) -> dict[str, Any]:
        """The walls that stand, or why there are none."""
        return self._source.active

    async def walls(self) -> dict[str, Any]:
        """The same, as one asks for it where the workers may be another process's."""
        return self.active

    async def start(self) -> None:
        """Get ready; where scripts cannot be run, say so and let the server do everything else."""
        try:
            await self._source.start()
            missing = [wall for wall in _DISPENSABLE if not self.active.get(wall, True)]
            if missing:
                _log.warning("this system does not grant these walls, so scripts run without them: %s", missing)
        except SandboxUnavailable as error:
            _log.error("%s", error)
        self._tasks = [asyncio.create_task(self._tend()), asyncio.create_task(self._fork_ahead())]

    async def stop(self) -> None:
        """Kill every worker and end the source."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for key in list(self._workers):
            self._retire(key)
        self.distrust_spares()
        await self._source.stop()

    @asynccontextmanager
    async def lease(self, key: Hashable) -> AsyncIterator[Worker]:
        """The worker of ``key``, alone; the same one as last time unless it died or had to make room."""
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            self._leased.add(key)
            try:
                worker = self._workers.get(key)
                if worker is None or not worker.alive:
                    worker = await self._fresh(key)
                self._workers.move_to_end(key)
                yield worker
            finally:
                self._leased.discard(key)
                self._give_back(key)

    async def check(self, scripts: dict[str, str], *, lint: bool) -> list[Fault]:
        """What is wrong with the scripts; found out in a worker of its own, as compiling can be an attack too."""
        async with self.lease(object()) as worker:
            try:
                answer = decode_reply(await worker.request(encode(CheckScripts(scripts, lint)), _CHECK_SECONDS))
            except (WorkerLost, msgspec.MsgspecError):
                return [Fault(next(iter(scripts)), 1, 1, _TOO_MUCH)]
            finally:
                worker.kill()
            return answer.faults if isinstance(answer, Checked) else []

    def forget(self, key: Hashable) -> None:
        """End the worker of ``key``, if it has one and nobody uses it."""
        if key not in self._leased:
            self._retire(key)
            self._wake()

    def distrust_spares(self) -> None:
        """End the spare workers: whatever ended another from outside may have ended them as well, unnoticed so far."""
        while self._spares:
            self._spares.pop().kill()
        self._wake()

    async def _fresh(self, key: Hashable) -> Worker:
        self._retire(key)
        worker = await self._spare_or_place()
        try:
            worker = worker or await self._source.spawn()
            self._workers[key] = worker
        finally:
            self._reserved -= 1
            self._wake()
        return worker

    async def _spare_or_place(self) -> Worker | None:
        """Reserve a place, by order of arrival; with it comes a spare worker if there is one."""
        if not self._waiting:
            if self._full and not self._spares and not self._forking:
                self._retire(next((key for key in self._workers if key not in self._leased), None))
            if self._spares or not self._full:
                return self._reserve()
        place: asyncio.Future[Worker | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was given a place just now
                self._reserved -= 1
                if worker := place.result():
                    worker.kill()
            self._wake()
            raise

    def _reserve(self) -> Worker | None:
        self._reserved += 1
        while self._spares:
            worker = self._spares.popleft()
            if worker.alive:
                return worker
        return None

    @property
    def _full(self) -> bool:
        return len(self._workers) + len(self._spares) + self._reserved >= self._max

    def _give_back(self, key: Hashable) -> None:
        worker = self._workers.get(key)
        if worker is not None and (self._single_use or self._waiting or _worn(worker)):
            self._retire(key)
        self._wake()

    def _wake(self) -> None:
        """Give places that became free to those who wait for one, or to spare workers."""
        self._serve_waiting()
        if not self._full and len(self._spares) < _SPARES:
            self._wanted.set()

    def _serve_waiting(self) -> None:
        while self._waiting:
            if self._full and not self._spares and not self._forking:
                self._retire(next((key for key in self._workers if key not in self._leased), None))
            if self._full and not self._spares:
                return
            place = self._waiting.popleft()
            if not place.cancelled():
                place.set_result(self._reserve())

    def _retire(self, key: Hashable) -> None:
        worker = self._workers.pop(key, None)
        if worker is not None:
            worker.kill()

    async def _fork_ahead(self) -> None:
        """Keep a few spare workers, as long as there is room for them."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while len(self._spares) < _SPARES and not self._full:
                self._reserved += 1
                self._forking = True
                try:
                    worker = await self._source.spawn()
                    self._spares.append(worker)  # not in one: tending may put another deque in its place meanwhile
                except SandboxUnavailable:
                    break  # whoever needs a worker will be told
                finally:
                    self._reserved -= 1
                    self._forking = False
                    self._serve_waiting()

    async def _tend(self) -> None:
        """End workers that nobody has used for a while, and bring up spare ones for those that died."""
        while True:
            self._spares = deque(worker for worker in self._spares if worker.alive)
            oldest = time.monotonic() - self._idle_seconds
            for key, worker in list(self._workers.items()):
                if key not in self._leased and (worker.used < oldest or not worker.alive):
                    self._retire(key)
            self._wake()
            await asyncio.sleep(min(_TENDING_SECONDS, self._idle_seconds))


def _worn(worker: Worker) -> bool:
    old = time.monotonic() - worker.born > _LIFETIME_SECONDS
    return old or worker.frames > _LIFETIME_FRAMES or not worker.alive
