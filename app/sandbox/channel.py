"""The server's side of the zygote: start it, ask it for workers, notice when it dies."""

from __future__ import annotations

import array
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from app.errors import SandboxUnavailable
from app.sandbox.protocol import REPLY_LIMIT, framed

_ROOT = Path(__file__).resolve().parents[2]
# -I keeps the environment and the user's site folder out; the one folder that is needed is put in by hand.
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from app.sandbox.zygote import start; start(sys.argv[2:])"
_START_SECONDS = 60.0
_SPAWN_SECONDS = 10.0
# A worker is replaced long before it has used the processor for this long; only a runaway ever meets it.
_CPU_SECONDS = 3600


class WorkerLost(Exception):
    """A worker died, was killed at its deadline or broke the protocol; the message says which."""


class Worker:
    """One worker process: a channel to it and the descriptor by which it is killed."""

    def __init__(self, pid: int, pidfd: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.alive = True
        self.born = time.monotonic()
        self._pidfd = pidfd
        self._reader = reader
        self._writer = writer

    async def request(self, payload: bytes, seconds: float) -> bytes:
        """Send one frame and wait for its answer; after ``seconds`` the worker is killed."""
        try:
            async with asyncio.timeout(seconds):
                self._writer.write(framed(payload))
                await self._writer.drain()
                size = int.from_bytes(await self._reader.readexactly(4), "big")
                if size > REPLY_LIMIT:
                    raise WorkerLost("its answer was too large")
                return await self._reader.readexactly(size)
        except TimeoutError:
            self.kill()
            raise WorkerLost("it ran too long") from None
        except (OSError, asyncio.IncompleteReadError):
            self.kill()
            raise WorkerLost("it ended") from None
        except BaseException:
            self.kill()
            raise

    @property
    def spoke_unasked(self) -> bool:
        """Whether bytes came that nobody asked for."""
        return bool(self._reader._buffer)  # type: ignore[attr-defined]

    def kill(self) -> None:
        """End the process now; safe to call again."""
        if not self.alive:
            return
        self.alive = False
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self._pidfd)
        self._writer.transport.abort()


class Zygote:
    """The zygote process; when it is found dead, the next request for a worker starts another."""

    def __init__(self, memory_mb: int, layers: dict[str, bool] | None = None) -> None:
        self.active: dict[str, Any] = {}
        self._orders = {"memory_mb": memory_mb, "cpu_seconds": _CPU_SECONDS, "layers": layers or {}}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of the running zygote."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and wait until it can fork workers."""
        async with self._turn:
            await self._start()

    async def _start(self) -> None:
        await self._stop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            orders = json.dumps(self._orders)
            # Not in another thread: the zygote dies with the thread that started it.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-I", "-c", _BOOT, str(_ROOT), str(theirs.fileno()), orders],
                pass_fds=[theirs.fileno()],
                env={"OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = ours
        try:
            message, _ = await _receive(ours, _START_SECONDS)
        except (OSError, TimeoutError):
            message = b""
        if not message:
            await self._stop()
            raise SandboxUnavailable("the process that runs scripts did not start; its reason is on standard error")
        self.active = json.loads(message)
        if not (self.active["safe"] or self._orders["layers"]):
            await self._stop()
            raise SandboxUnavailable(f"scripts could get out of their process, so none is run: {self.active}")

    async def spawn(self) -> Worker:
        """A fresh worker; the zygote is started again first if it has died."""
        async with self._turn:
            for attempt in (1, 2):
                if self._control is None:
                    await self._start()
                try:
                    return await self._spawn()
                except (OSError, TimeoutError, ValueError) as error:
                    await self._stop()
                    if attempt == 2:
                        raise SandboxUnavailable(f"no process for scripts could be started: {error}") from error
            raise AssertionError

    async def _spawn(self) -> Worker:
        assert self._control is not None
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [b"spawn"], [theirs.fileno()])
            message, descriptors = await _receive(self._control, _SPAWN_SECONDS)
            pid, pidfd = int(message), descriptors[0]
            ours.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=2**20)
        except BaseException:
            ours.close()
            raise
        return Worker(pid, pidfd, reader, writer)

    async def stop(self) -> None:
        """End the zygote; its workers end when their channels close."""
        async with self._turn:
            await self._stop()

    async def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None


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
