"""Workers for experiments: at most so many processes, each serving one experiment at a time and then for good.

A worker is leased for one frame or one batch. Where more experiments are active than there may be workers, those
that wait are served in the order in which they came: the least recently used idle worker makes room.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

import msgspec

from app.sandbox.channel import Worker, WorkerLost, Zygote
from app.sandbox.protocol import Check, Checked, Fault, decode_reply, encode

_LIFETIME_SECONDS = 1800.0
_CHECK_SECONDS = 10.0


class Pool:
    """The workers of one server process."""

    def __init__(self, zygote: Zygote, max_workers: int) -> None:
        self._zygote = zygote
        self._max = max_workers
        self._workers: OrderedDict[Hashable, Worker] = OrderedDict()
        self._leased: set[Hashable] = set()
        self._turns: dict[Hashable, asyncio.Lock] = {}
        self._spawning = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def start(self) -> None:
        """Start the zygote."""
        await self._zygote.start()

    async def stop(self) -> None:
        """Kill every worker and the zygote."""
        for key in list(self._workers):
            self._retire(key)
        await self._zygote.stop()

    @asynccontextmanager
    async def lease(self, key: Hashable) -> AsyncIterator[Worker]:
        """The worker of ``key``, alone; the same one as last time unless it died or had to make room."""
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            self._leased.add(key)
            try:
                worker = self._workers.get(key)
                if worker is None or not worker.alive or worker.spoke_unasked:
                    worker = await self._fresh(key)
                self._workers.move_to_end(key)
                yield worker
            finally:
                self._leased.discard(key)
                self._give_back(key)

    async def check(self, scripts: dict[str, str]) -> list[Fault]:
        """What keeps the scripts from compiling; they are compiled in a worker, as compiling can be an attack too."""
        async with self.lease("check") as worker:
            try:
                answer = decode_reply(await worker.request(encode(Check(scripts)), _CHECK_SECONDS))
            except (WorkerLost, msgspec.MsgspecError):
                worker.kill()
                return [Fault(next(iter(scripts)), 1, 1, "one of the scripts cannot be compiled: it is far too nested")]
            return answer.faults if isinstance(answer, Checked) else []

    def forget(self, key: Hashable) -> None:
        """End the worker of ``key``, if it has one and nobody uses it."""
        if key not in self._leased:
            self._retire(key)
            self._turns.pop(key, None)

    async def _fresh(self, key: Hashable) -> Worker:
        self._retire(key)
        await self._make_room()
        try:
            worker = await self._zygote.spawn()
        except BaseException:
            self._spawning -= 1
            self._wake_one()
            raise
        self._spawning -= 1
        self._workers[key] = worker
        return worker

    async def _make_room(self) -> None:
        """Reserve a place, by order of arrival; an idle worker leaves for it if all are taken."""
        while self._waiting or len(self._workers) + self._spawning >= self._max:
            idle = next((key for key in self._workers if key not in self._leased), None)
            if idle is not None and not self._waiting:
                self._retire(idle)
                continue
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
                return  # whoever woke us has reserved the place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._spawning -= 1
                    self._wake_one()
                elif place in self._waiting:
                    self._waiting.remove(place)
                raise
        self._spawning += 1

    def _give_back(self, key: Hashable) -> None:
        worker = self._workers.get(key)
        if worker is not None:
            old = time.monotonic() - worker.born > _LIFETIME_SECONDS
            if old or not worker.alive or self._waiting:
                self._retire(key)
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting and len(self._workers) + self._spawning < self._max:
            place = self._waiting.popleft()
            if not place.done():
                self._spawning += 1
                place.set_result(None)

    def _retire(self, key: Hashable) -> None:
        worker = self._workers.pop(key, None)
        if worker is not None:
            worker.kill()
