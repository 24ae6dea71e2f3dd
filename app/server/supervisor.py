"""A server in several processes: the parent forks them, starts again those that die, and ends them together.

It does not know what they do. Each child has a ``ChildHandle``: one end of a socket pair, whose other end only the
parent holds. Over it the child reports that it is ready, or why it cannot start. When the parent's end closes, because
the parent wants that or was killed, the child stops. Signals are handled by the parent alone: a service manager may
signal every process at once, and the parent still decides the order in which they stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

import uvloop

from app.errors import CannotStart, ThetaloopError
from app.sandbox.confinement import kernel
from app.sandbox.confinement.privileges import PR_SET_PDEATHSIG

# A child that is told to stop has so long before it is killed; one without a parent ends itself a little later.
_STOP_SECONDS = 45.0
_ALARM_SECONDS = 60
# A child that dies soon after its birth is not started again before so much time has passed since.
_RESTART_SECONDS = 1.0
_PR_SET_NAME = 15
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_log = logging.getLogger("thetaloop")


class ChildHandle:
    """A child's end; ``first`` unless it takes the place of one that died."""

    def __init__(self, end: socket.socket, parent: int, first: bool, drain: float = 0) -> None:
        self.first = first
        self._drain = drain
        self._end = end
        self._parent = parent
        self._stop = asyncio.Event()

    @property
    def orphaned(self) -> bool:
        """Whether the parent is gone."""
        return os.getppid() != self._parent

    def watch(self) -> None:
        """Take signals and the parent's word from now on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self._end_if_orphaned)
        loop.add_reader(self._end, self._end_it)
        if sys.platform == "linux":  # beside the socket: this works on a process that has not begun to listen to it
            kernel.call("prctl", PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        self._end_if_orphaned()

    def ready(self, text: str = "") -> None:
        """Tell the parent that this process does its work from now on, with ``text`` for whoever started it."""
        self._tell(ready=text)

    def failed(self, why: str) -> None:
        """Tell the parent why it cannot."""
        self._tell(failed=why)

    async def stopped(self) -> None:
        """Wait for the word to stop."""
        await self._stop.wait()

    def _end_if_orphaned(self) -> None:
        if self.orphaned:
            self._end_it()

    def _end_it(self) -> None:
        self._stop.set()
        asyncio.get_running_loop().remove_reader(self._end)
        # Whatever happens now, even if something hangs: no process is left behind.
        signal.alarm(_ALARM_SECONDS + math.ceil(self._drain))

    def _tell(self, **what: str) -> None:
        with contextlib.suppress(OSError):  # the parent is gone
            self._end.sendall(json.dumps(what).encode() + b"\n")


@dataclass(eq=False)
class ProcessSpec:
    """One process: its ``name``, what it does, and the listening sockets that are for it alone."""

    name: str
    work: Callable[[ChildHandle], Awaitable[None]]
    sockets: Sequence[socket.socket] = ()
    pid: int = 0
    born: float = 0.0
    said: str | None = None
    end: socket.socket | None = None
    heard: bytearray = field(default_factory=bytearray)


class Supervisor:
    """The parent: ``first`` is ready before the others are started.

    ``drain`` is how many seconds children may take to end beyond the usual ones.
    """

    def __init__(self, first: ProcessSpec, others: Sequence[ProcessSpec], drain: float = 0) -> None:
        self._drain = drain
        self._first = first
        self._others = others
        self._parts = [first, *others]
        self._stopping = False
        self._woken, self._waking = socket.socketpair()

    def run(self, ready: Callable[[list[str]], None]) -> None:
        """Live until SIGTERM or SIGINT; ``ready`` is given what the children said once all of them are ready."""
        for end in (self._woken, self._waking):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waking.fileno())
        for number in _SIGNALS:
            signal.signal(number, _ignored)
        try:
            if self._started([self._first]) and self._started(self._others):
                ready([part.said or "" for part in self._parts])
            while not self._stopping:
                self._turn()
                self._replace()
        finally:
            self._end_all()

    def _started(self, parts: Sequence[ProcessSpec]) -> bool:
        """Start them and wait until they are ready; False if somebody wants the end before."""
        for part in parts:
            self._fork(part, first=True)
        while not self._stopping and any(part.said is None for part in parts):
            self._turn()
            for part in parts:
                if not part.pid:
                    raise CannotStart(part.name)
        return not self._stopping

    def _turn(self, seconds: float = _RESTART_SECONDS) -> None:
        """Wait until something happens: a signal, the word of a child, or the end of one."""
        ends = {part.end.fileno(): part for part in self._parts if part.end is not None}
        readable, _, _ = select.select([self._woken.fileno(), *ends], [], [], seconds)
        for one in readable:
            if one in ends:
                self._hear(ends[one])
            elif any(number != signal.SIGCHLD for number in self._woken.recv(4096)):
                self._stopping = True
        for part in self._parts:
            self._reap(part)

    def _hear(self, part: ProcessSpec) -> None:
        assert part.end is not None
        said = part.end.recv(65536)
        if not said:
            part.end.close()
            part.end = None
        part.heard += said
        while b"\n" in part.heard:
            line, _, rest = part.heard.partition(b"\n")
            part.heard = bytearray(rest)
            what = json.loads(line)
            if "ready" in what:
                part.said = part.said or what["ready"]
            elif part.said is None:
                raise ThetaloopError(what["failed"])
            else:
                _log.error("the %s process cannot start: %s", part.name, what["failed"])

    def _reap(self, part: ProcessSpec) -> None:
        if not part.pid:
            return
        pid, status = os.waitpid(part.pid, os.WNOHANG)
        if not pid:
            return
        part.pid = 0
        if part.end is not None:
            with contextlib.suppress(OSError):
                self._hear(part)  # its last words
        if part.end is not None:
            part.end.close()
            part.end = None
        code = os.waitstatus_to_exitcode(status)
        if not self._stopping:
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            _log.error("the %s process (%d) ended %s", part.name, pid, how)

    def _replace(self) -> None:
        for part in self._parts:
            if not part.pid and not self._stopping and time.monotonic() >= part.born + _RESTART_SECONDS:
                try:
                    self._fork(part, first=False)
                    _log.warning("the %s process was started again", part.name)
                except OSError as error:
                    _log.error("the %s process cannot be started again now: %s", part.name, error)

    def _fork(self, part: ProcessSpec, *, first: bool) -> None:
        if part.end is not None:
            part.end.close()  # of a child that could not be forked
        part.born, part.heard = time.monotonic(), bytearray()
        part.end, theirs = socket.socketpair()
        parent = os.getpid()
        sys.stdout.flush()
        # A signal that came to the child before it has put off our handlers would seem to be ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            part.pid = os.fork()
            if not part.pid:
                self._live(part, ChildHandle(theirs, parent, first, self._drain))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            theirs.close()

    def _live(self, part: ProcessSpec, lead: ChildHandle) -> NoReturn:
        """The child, from its birth to its end."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._let_go_of_what_is_not_for(part)
            _show_name(part.name)
            uvloop.run(_worked(part, lead))
            code = 0
        except ThetaloopError as error:
            lead.failed(error.message)
        except BaseException:
            _log.exception("the %s process failed", part.name)
            lead.failed(CannotStart(part.name).message)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _let_go_of_what_is_not_for(self, child: ProcessSpec) -> None:
        self._woken.close()
        self._waking.close()
        for part in self._parts:
            if part.end is not None:
                part.end.close()
            if part is not child:
                for one in part.sockets:
                    one.close()

    def _end_all(self) -> None:
        """Let every child end in its own time, those that take too long excepted."""
        self._stopping = True
        for part in self._parts:
            for one in part.sockets:
                one.close()
            if part.end is not None:
                part.end.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + _STOP_SECONDS + self._drain
        while any(part.pid for part in self._parts):
            if time.monotonic() > deadline:
                for part in self._parts:
                    if part.pid:
                        _log.error("the %s process does not end and is killed", part.name)
                        os.kill(part.pid, signal.SIGKILL)
            with contextlib.suppress(ThetaloopError):
                self._turn(0.1)
        signal.set_wakeup_fd(-1)
        self._woken.close()
        self._waking.close()


def _show_name(name: str) -> None:
    """For ``top`` and ``ps -o comm``, which show 15 characters."""
    if sys.platform == "linux":
        kernel.call("prctl", _PR_SET_NAME, f"tl-{name}".encode(), 0, 0, 0)


async def _worked(part: ProcessSpec, lead: ChildHandle) -> None:
    lead.watch()
    await part.work(lead)


def _ignored(number: int, frame: FrameType | None) -> None:
    """Not the default: the signal is to be seen where it is waited for."""
