"""The engine's end of the sockets: takes the calls of HTTP processes, and sends their answers.

No call has a task or a future of its own here: what answers it in the engine writes straight into the next frame.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from app.domain.requests import ActionAnswer, RewardAnswer
from app.domain.trial import Trial
from app.engine.engine import Engine, LiveExperiment
from app.engine.trial import Trials
from app.errors import ThetaloopError
from app.ipc.frames import (
    ActionMessage,
    ActionResponse,
    Channel,
    Invoke,
    InvokeResponse,
    RewardMessage,
    RewardResponse,
    TooLong,
    calls_in,
    encode,
    failed,
)
from app.sandbox.host.pool import Pool


class EngineServer:
    """Serves an engine, its workers and trials on them to every process that connects to the socket."""

    def __init__(self, engine: Engine, pool: Pool, trials: Trials) -> None:
        self.engine = engine
        self._pool = pool
        self._trials = trials
        self._connections: set[ClientConnection] = set()
        self._server: asyncio.AbstractServer | None = None
        self._left = asyncio.Event()
        self.answers: dict[str, Callable[..., Awaitable[Any]]] = {
            "authorize": self._authorize,
            "get": self._get,
            "invalidate": engine.invalidate,
            "imagine": self._imagine,
            "check": self._check,
            "confinement": pool.confinement,
            "try": self._try,
        }

    async def start(self, listener: socket.socket) -> None:
        """Take connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: ClientConnection(self).channel, sock=listener)

    async def idle(self) -> None:
        """Wait until every process that called has closed its connection."""
        while self._connections:
            self._left.clear()
            await self._left.wait()

    async def close(self) -> None:
        """Take no more connections, and close those that are there."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.channel.close()
        await self.idle()

    def joined(self, connection: ClientConnection) -> None:
        """A process connected."""
        self._connections.add(connection)

    def left(self, connection: ClientConnection) -> None:
        """It closed its connection."""
        self._connections.discard(connection)
        self._left.set()

    async def _authorize(self, exp_id: str, key: bytes) -> None:
        await self.engine.authorize(exp_id, key.decode("utf-8", "surrogatepass"))

    async def _get(self, exp_id: str) -> None:
        await self.engine.get(exp_id)

    async def _imagine(self, exp_id: str, *given: Any) -> dict[str, Any]:
        return await (await self.engine.get(exp_id)).imagine(*given)

    async def _check(self, scripts: dict[str, str], lint: bool) -> Any:
        return await self._pool.check(scripts, lint=lint)

    async def _try(self, exp_id: str, trial: dict[str, Any]) -> Any:
        return await self._trials.make(exp_id, msgspec.convert(trial, Trial))


class ClientConnection:
    """One connection, of one HTTP process."""

    def __init__(self, server: EngineServer) -> None:
        self.channel = Channel(self._received, self._lost)
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = True
        server.joined(self)
        self.channel.send(encode(InvokeResponse(0, None)))

    def send(self, message: ActionResponse | RewardResponse | InvokeResponse) -> None:
        """Send an answer."""
        if self._open:
            try:
                self.channel.send(encode(message))
            except (TooLong, TypeError, ValueError, OverflowError) as error:
                self.fail(message.number, error)

    def fail(self, number: int, error: BaseException) -> None:
        """Send an error."""
        if self._open:
            self.channel.send(encode(failed(number, error)))

    def _received(self, frame: bytes) -> None:
        for call in calls_in(frame):
            if isinstance(call, Invoke):
                self._later(call.number, self._told(call))
            else:
                live = self._server.engine.get_loaded(call.exp_id)
                if live is None:
                    self._later(call.number, self._found(call))
                else:
                    self._queue(live, call)

    def _queue(self, live: LiveExperiment, call: ActionMessage | RewardMessage) -> None:
        try:
            if isinstance(call, ActionMessage):
                live.queue_action(call.request, ActionResponder(self, call))
            else:
                live.queue_reward(call.request, RewardResponder(self, call))
        except ThetaloopError as error:
            self.fail(call.number, error)

    async def _found(self, call: ActionMessage | RewardMessage) -> None:
        self._queue(await self._server.engine.get(call.exp_id), call)

    async def _told(self, ask: Invoke) -> None:
        self.send(InvokeResponse(ask.number, await self._server.answers[ask.name](*ask.arguments)))

    def _later(self, number: int, work: Any) -> None:
        async def attempt() -> None:
            try:
                await work
            except Exception as error:
                self.fail(number, error)

        task = asyncio.get_running_loop().create_task(attempt())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lost(self) -> None:
        # Calls that are queued run to their end: they may be kept, and a retry finds out.
        self._open = False
        self._server.left(self)


class ActionResponder:
    """The promise of an answer to a getaction."""

    __slots__ = ("_call", "_connection", "_done")

    def __init__(self, connection: ClientConnection, call: ActionMessage) -> None:
        self._connection = connection
        self._call = call
        self._done = False

    def done(self) -> bool:
        """Whether it was kept."""
        return self._done

    def set_result(self, result: ActionAnswer, /) -> None:
        """Send the answer."""
        self._done = True
        call = self._call
        context = None if result.context is call.request.context else result.context
        self._connection.send(ActionResponse(call.number, result.action, context, result.advice_id, result.debug))

    def set_exception(self, exception: Exception, /) -> None:
        """Send the error."""
        self._done = True
        self._connection.fail(self._call.number, exception)


class RewardResponder:
    """The promise of an answer to a setreward."""

    __slots__ = ("_call", "_connection", "_done")

    def __init__(self, connection: ClientConnection, call: RewardMessage) -> None:
        self._connection = connection
        self._call = call
        self._done = False

    def done(self) -> bool:
        """Whether it was kept."""
        return self._done

    def set_result(self, result: RewardAnswer, /) -> None:
        """Send the answer."""
        self._done = True
        call = self._call
        context = None if result.context is call.request.context else result.context
        action = None if result.action is call.request.action else result.action
        self._connection.send(RewardResponse(call.number, context, action, result.duplicate))

    def set_exception(self, exception: Exception, /) -> None:
        """Send the error."""
        self._done = True
        self._connection.fail(self._call.number, exception)
