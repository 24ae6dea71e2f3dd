"""An HTTP process's connection to the engine process, made again whenever it is lost.

While the engine process is away, being started again after it died, calls are refused at once. Those that it had and
did not answer have an unknown outcome, which a retry settles.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.engine.limits import Limits
from app.errors import EngineAway, EngineLost, Overloaded
from app.ipc.frames import ActionMessage, Channel, ErrorResponse, Invoke, RewardMessage, answers_in, encode, revived

_RECONNECT_SECONDS = 0.05
_SWEEP_SECONDS = 1.0
# The engine refuses calls when too many wait. This bounds what it has not answered, should it not answer at all.
_UNANSWERED = 2


@dataclass(eq=False, slots=True)
class _Waiting:
    """A call that was sent; ``size`` is about how many bytes it holds."""

    future: asyncio.Future[Any]
    since: float
    size: int


class EngineClient:
    """Sends calls and hands back their answers."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._channel: Channel | None = None
        self._connected = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._size = 0
        self._number = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._answered = asyncio.Event()

    async def open(self) -> None:
        """Connect; ``EngineAway`` if nobody is there in time."""
        self._connecting = asyncio.create_task(self._keep_connected())
        await self.connected()

    async def connected(self) -> None:
        """Wait until the engine process is there; ``EngineAway`` if it is not in the time that a call may take."""
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                await self._connected.wait()
        except TimeoutError:
            raise EngineAway() from None

    def number(self) -> int:
        """The number of the next call."""
        self._number += 1
        return self._number

    def send(self, call: ActionMessage | RewardMessage | Invoke, size: int = 0) -> asyncio.Future[Any]:
        """Send a call; the future has its answer. ``EngineAway`` or ``Overloaded`` if it was not sent."""
        if self._channel is None:
            raise EngineAway()
        limits = self._limits
        if len(self._waiting) >= _UNANSWERED * limits.queue_calls or self._size >= _UNANSWERED * limits.queue_bytes:
            raise Overloaded()
        self._channel.send(encode(call))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting[call.number] = _Waiting(future, time.monotonic(), size)
        self._size += size
        if self._sweep is None:
            self._sweep = loop.call_later(_SWEEP_SECONDS, self._give_up_old)
        return future

    async def idle(self) -> None:
        """Wait until every call is answered."""
        while self._waiting:
            self._answered.clear()
            await self._answered.wait()

    async def close(self) -> None:
        """Close the connection; what was not answered is given up."""
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connecting
            self._connecting = None
        if self._sweep is not None:
            self._sweep.cancel()

    async def _keep_connected(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self._stay_connected()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _stay_connected(self) -> None:
        lost = asyncio.Event()
        channel = Channel(lambda frame: self._received(channel, frame), lost.set)
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, str(self._path))
        try:
            await lost.wait()
        finally:
            self._channel = None
            self._connected.clear()
            channel.close()
            for waiting in list(self._waiting.values()):
                if not waiting.future.done():
                    waiting.future.set_exception(EngineLost())
            self._waiting.clear()
            self._size = 0
            self._answered.set()

    def _received(self, channel: Channel, frame: bytes) -> None:
        for message in answers_in(frame):
            if message.number == 0:  # not before: a connection may wait for a process that is still starting
                self._channel = channel
                self._connected.set()
                continue
            waiting = self._waiting.pop(message.number, None)
            if waiting is None:
                continue
            self._size -= waiting.size
            if waiting.future.done():
                continue
            if isinstance(message, ErrorResponse):
                waiting.future.set_exception(revived(message))
            else:
                waiting.future.set_result(message)
        self._answered.set()

    def _give_up_old(self) -> None:
        """The engine answers in time or with an error; if it does neither, it hangs."""
        oldest = time.monotonic() - self._limits.timeout_seconds
        for number, waiting in list(self._waiting.items()):
            if waiting.since > oldest:
                break
            del self._waiting[number]
            self._size -= waiting.size
            if not waiting.future.done():
                waiting.future.set_exception(EngineLost())
        self._answered.set()
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._give_up_old) if self._waiting else None
