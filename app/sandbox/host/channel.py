"""The server's end of one worker: ask it, take its one answer, end it. The wall of the parent's deadline is here.

Without it a script in a long loop of C code, which no alarm inside the worker interrupts, would never give its process
back. And whatever a worker says is believed to be hostile: bytes that nobody asked for, an answer to another frame and
an answer that is too long end it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from app.sandbox.protocol import HEADER, REPLY_LIMIT, framed


class WorkerLost(Exception):
    """A worker was killed because it broke the protocol; the message says how. Two other ways have their own class."""


class WorkerEnded(WorkerLost):
    """It ended without being told to: its script did that, or the system, or whoever may kill it."""


class WorkerTooSlow(WorkerLost):
    """It did not answer in time."""


class Worker(asyncio.Protocol):
    """One worker process: the channel to it, and ``end``, by which it is killed."""

    def __init__(self, pid: int, end: Callable[[], None]) -> None:
        self.pid = pid
        self.alive = True
        self.born = self.used = time.monotonic()
        self.frames = 0
        self._end = end
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[bytearray] | None = None

    async def request(self, payload: bytes, seconds: float) -> bytearray:
        """Send one frame and wait for its answer; after ``seconds`` the worker is killed."""
        if not self.alive or self._transport is None:
            raise WorkerEnded("it ended")
        self.frames += 1
        self.used = time.monotonic()
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                self._transport.write(framed(self.frames, payload))
                return await self._answer
        except TimeoutError:
            self.kill()
            raise WorkerTooSlow("it did not answer in time") from None
        except BaseException:
            self.kill()
            raise
        finally:
            self._answer = None

    def kill(self) -> None:
        """End the process now; safe to call again."""
        if self.alive:
            self.alive = False
            self._end()
            if self._transport is not None:
                self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's word that the channel is open."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio's word that bytes came; only the answer to the frame that was sent may come."""
        self._received += data
        if self._answer is None or self._answer.done():
            self.kill()
        elif len(self._received) >= HEADER.size:
            size, number = HEADER.unpack_from(self._received)
            if number != self.frames:
                self._lose(WorkerLost("it answered something that it was not asked"))
            elif size > REPLY_LIMIT or len(self._received) > HEADER.size + size:
                self._lose(WorkerLost("it answered more than it may"))
            elif len(self._received) == HEADER.size + size:
                answer, self._received = self._received, bytearray()
                del answer[: HEADER.size]
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's word that the channel is closed."""
        self._lose(WorkerEnded("it ended"))

    def _lose(self, reason: WorkerLost) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(reason)
        self.kill()
