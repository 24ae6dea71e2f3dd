"""Workers without confinement, for systems that have none: ``sandbox.unsafe`` on a loopback address, with a warning.

A script is kept out of the server's memory and of nothing else. It is for trying things out on a laptop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
from functools import partial
from typing import Any, NoReturn

from app.sandbox.host.channel import Worker
from app.sandbox.host.interpreter import LIVE, Interpreter
from app.sandbox.host.zygote_client import ROOT

_log = logging.getLogger("thetaloop")
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from app.sandbox.host.unsafe import serve; serve(int(sys.argv[2]))"
)


class PlainProcesses:
    """Starts each worker as an interpreter of its own, with the same protocol; it is ready in about half a second."""

    def __init__(self, interpreter: Interpreter = LIVE) -> None:
        self._interpreter = interpreter
        self.active: dict[str, Any] = {"safe": False, "unsafe": True}

    async def start(self) -> None:
        """Log a warning of what this means."""
        _log.warning("SCRIPTS ARE NOT CONFINED (sandbox.unsafe): they may do whatever this account may do")

    async def spawn(self) -> Worker:
        """Start an interpreter."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.to_thread(_launch, theirs, self._interpreter)
        worker = Worker(process.pid, partial(_end, process))
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)
        return worker

    async def stop(self) -> None:
        """No-op: the pool kills its workers, and any other ends when its channel closes."""


def _launch(channel: socket.socket, interpreter: Interpreter) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        interpreter.command(_BOOT, str(ROOT), str(channel.fileno())),
        pass_fds=[channel.fileno()],
        env=interpreter.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def serve(channel: int) -> NoReturn:
    """The entry point of such an interpreter."""
    from app.sandbox.confinement import process_state
    from app.sandbox.worker import main
    from app.sandbox.worker.imports import preload

    process_state.keep_only(channel)
    preload()
    main.serve()
