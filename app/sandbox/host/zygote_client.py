"""The server's end of the zygote, the confined process from which workers are forked.

The server starts the zygote, requests workers from it, and starts another one when it has died. It fails closed: if the
zygote cannot apply its confinement, or its self-test breaks out of it, it is killed and no script is run.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, NoReturn, Protocol

from app.errors import SandboxUnavailable
from app.sandbox.host.channel import Worker
from app.sandbox.host.interpreter import LIVE, Interpreter

ROOT = Path(__file__).resolve().parents[3]
# The environment and the user's site folder are kept out; the one folder that is needed is put in by hand.
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from app.sandbox.zygote import start; start(sys.argv[2:])"
_START_SECONDS = 60.0
_SPAWN_SECONDS = 10.0
_RETRY_SECONDS = 1.0
# A worker is replaced long before it has used the processor for this long; only a runaway ever meets it.
_CPU_SECONDS = 3600


class Source(Protocol):
    """Starts the workers of a pool; ``active`` says which confinement layers hold."""

    active: dict[str, Any]

    async def start(self) -> None:
        """Get ready; raises ``SandboxUnavailable`` if scripts cannot be run here."""

    async def spawn(self) -> Worker:
        """Return a fresh worker; raises ``SandboxUnavailable`` if none can be started."""

    async def stop(self) -> None:
        """End what ``start`` started."""


class Zygote:
    """The zygote process; if it has died, the next request for a worker starts another.

    ``layers`` switches confinement layers off. It is for tests alone, and no setting names it.
    """

    def __init__(
        self,
        memory_mb: int,
        layers: dict[str, bool] | None = None,
        cpu_seconds: int = _CPU_SECONDS,
        interpreter: Interpreter = LIVE,
    ) -> None:
        self.active: dict[str, Any] = {"safe": False}
        self._interpreter = interpreter
        self._options = {
            "memory_mb": memory_mb,
            "cpu_seconds": cpu_seconds,
            "niceness": interpreter.niceness,
            "layers": layers or {},
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._turn = asyncio.Lock()
        self._refused: SandboxUnavailable | None = None
        self._retry_at = 0.0

    @property
    def pid(self) -> int | None:
        """The process id of the running zygote."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and wait until it can fork workers."""
        async with self._turn:
            await self._start()

    async def spawn(self) -> Worker:
        """Return a fresh worker; the zygote is started again first if it has died."""
        exchange = asyncio.ensure_future(self._exchange())
        try:
            return await asyncio.shield(exchange)
        except asyncio.CancelledError:
            # The answer will still arrive. It must be read, or it would be taken for the answer to the next request.
            exchange.add_done_callback(_discard)
            raise

    async def _exchange(self) -> Worker:
        async with self._turn:
            for _ in range(2):
                if self._control is None:
                    await self._start()
                try:
                    return await self._spawn()
                except SandboxUnavailable:  # the zygote runs, but could not fork
                    raise
                except (OSError, TimeoutError):
                    await self._stop()
            raise SandboxUnavailable("no process for scripts could be started; the next call tries again")

    async def stop(self) -> None:
        """End the zygote; its workers end with it."""
        async with self._turn:
            await self._stop()

    async def _start(self) -> None:
        await self._stop()
        if self._refused is not None and time.monotonic() < self._retry_at:
            raise self._refused
        try:
            self._control = self._launch()
        except OSError as error:  # not a Linux
            await self._refuse(_why({"reason": str(error)}), float("inf"))
        try:
            message, _ = await _receive(self._control, _START_SECONDS)
        except (OSError, TimeoutError):
            await self._refuse("the process that runs scripts did not start; standard error says why", _RETRY_SECONDS)
        self.active = json.loads(message)
        if not (self.active["safe"] or self._options["layers"]):
            # What the system does not grant now it will not grant in a second.
            await self._refuse(_why(self.active), float("inf"))

    def _launch(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            # Not in another thread: the zygote dies with the thread that started it.
            self._process = subprocess.Popen(
                self._interpreter.command(_BOOT, str(ROOT), str(theirs.fileno()), json.dumps(self._options)),
                pass_fds=[theirs.fileno()],
                env=self._interpreter.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        return ours

    async def _refuse(self, reason: str, seconds: float) -> NoReturn:
        await self._stop()
        self.active = {"safe": False, "reason": reason}
        self._refused = SandboxUnavailable(reason)
        self._retry_at = time.monotonic() + seconds
        raise self._refused

    async def _spawn(self) -> Worker:
        assert self._control is not None
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [b"spawn"], [theirs.fileno()])
            message, descriptors = await _receive(self._control, _SPAWN_SECONDS)
            if not descriptors:
                raise SandboxUnavailable(message.decode())
            ours.setblocking(False)
            worker = Worker(int(message), _Handle(descriptors[0]).kill)
            await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)
        except BaseException:
            ours.close()
            raise
        return worker

    async def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None


class _Handle:
    """The descriptor of a process: unlike its id, it never comes to mean another process."""

    def __init__(self, pidfd: int) -> None:
        self._pidfd = pidfd

    def kill(self) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self._pidfd)


def _discard(exchange: asyncio.Future[Worker]) -> None:
    if not exchange.cancelled() and exchange.exception() is None:
        exchange.result().kill()


def _why(active: dict[str, Any]) -> str:
    if "reason" in active:
        found = f"this system does not let the server confine them ({active['reason']})"
    else:
        found = f"its self-test broke out of the confinement ({', '.join(active['breaches'])})"
    return f"this server does not run scripts: {found}; see the setting sandbox.unsafe and the docs on the sandbox"


async def _receive(control: socket.socket, seconds: float) -> tuple[bytes, list[int]]:
    """One message and its descriptors; OSError if the other side hung up."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(control, readable.set)
    try:
        async with asyncio.timeout(seconds):
            await readable.wait()
    finally:
        loop.remove_reader(control)
    size = array.array("i").itemsize
    message, ancillary, _, _ = control.recvmsg(4096, socket.CMSG_LEN(size))
    if not message:
        raise ConnectionResetError("the zygote hung up")
    descriptors = array.array("i")
    for _, _, data in ancillary:
        descriptors.frombytes(data[:size])
    return message, list(descriptors)
