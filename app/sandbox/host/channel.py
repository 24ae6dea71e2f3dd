"""The server's end of one worker: send a frame, read its one answer, kill it. The server's deadline is kept here.

No alarm inside the worker interrupts a long loop of C code; without the deadline its process would never be free again.
Whatever a worker sends is taken for hostile: bytes without a request, an answer to another frame and an answer that is
too long end it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from app.sandbox.protocol import HEADER, REPLY_LIMIT, framed


class WorkerLost(Exception):
    """A worker was killed because it broke the protocol; the message says how."""


class WorkerEnded(WorkerLost):
    """The worker ended by itself: because of its script, or because the system killed it."""


class WorkerTooSlow(WorkerLost):
    """The worker was killed because it did not answer in time."""


class Worker(asyncio.Protocol):
    """One worker process and the channel to it; ``end`` kills the process."""

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
        """Send one frame and return its answer.

        Raises ``WorkerTooSlow`` after ``seconds``, ``WorkerEnded`` if the process ends, ``WorkerLost`` if it breaks the
        protocol. After any of them, and after a cancellation, the worker is dead: what it would still send cannot be
        told from later answers.
        """
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
        """Kill the process now; safe to call again."""
        if self.alive:
            self.alive = False
            self._end()
            if self._transport is not None:
                self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio callback: the channel is open."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """asyncio callback: bytes arrived; they must belong to the answer to the frame that was sent."""
        self._received += data
        if self._answer is None or self._answer.done():
            self.kill()
        elif len(self._received) >= HEADER.size:
            size, number = HEADER.unpack_from(self._received)
            if number != self.frames:
                self._lose(WorkerLost("it answered another frame than the one that was sent"))
            elif size > REPLY_LIMIT or len(self._received) > HEADER.size + size:
                self._lose(WorkerLost("it answered more than it may"))
            elif len(self._received) == HEADER.size + size:
                answer, self._received = self._received, bytearray()
                del answer[: HEADER.size]
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio callback: the channel is closed."""
        self._lose(WorkerEnded("it ended"))

    def _lose(self, reason: WorkerLost) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(reason)
        self.kill()
