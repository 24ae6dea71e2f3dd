"""The process in which one experiment's scripts run: it reads a frame on descriptor 3, runs it, writes one answer.

It is forked from the zygote with everything imported and holds nothing of the server's. The time limit of an item is
kept here, by an interval timer that repeats while the script runs, because a script can catch the first alarm. A long
loop in C ends by the server's deadline and SIGKILL. Without the timer a script that loops would end its worker, and the
calls in the same frame would run again.
"""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any, NoReturn

import msgspec
import numpy as np

from app.domain.experiment import SCRIPTS
from app.domain.outcomes import propensity_fault
from app.sandbox.protocol import (
    BATCH_LIMIT,
    FRAME_LIMIT,
    HEADER,
    ITEM_LIMIT,
    ITEM_VALUES,
    Checked,
    CheckScripts,
    Collect,
    Done,
    Failed,
    Item,
    Missed,
    PutOff,
    RunScript,
    SimulateDraws,
    decode_request,
    encode,
    framed,
)
from app.sandbox.value_count import value_count
from app.sandbox.worker.clock import TimeUp
from app.sandbox.worker.lint import faults
from app.sandbox.worker.script import Holdings, Miss, ScriptCall, Self, execute
from app.sandbox.worker.simulation import SimulationLoop
from app.sandbox.worker.to_json import NotStorable, fresh, kept_row

CHANNEL = 3
_LAST_LINE = 10**6
_FILLS = {"get_context": "context", "get_action": "action", "get_reward": "reward"}


def serve() -> NoReturn:
    """Answer frames until the server closes the channel."""
    worker = _Worker()
    signal.signal(signal.SIGALRM, _alarm)
    while True:
        size, number = HEADER.unpack(_read(HEADER.size))
        request = decode_request(_read(size))
        _write(framed(number, worker.answer(request)))


class _Worker:
    def __init__(self) -> None:
        self.holdings = Holdings()
        self.sources: dict[str, dict[str, str]] = {}
        self.simulation = SimulationLoop(self.holdings, self.sources, self._failure)

    def answer(self, request: RunScript | CheckScripts | SimulateDraws | Collect) -> bytes:
        """Return the encoded answer to a frame."""
        if isinstance(request, CheckScripts):
            return encode(Checked(faults(request)))
        if isinstance(request, SimulateDraws):
            self._add(request)
            return encode(self.simulation.run(request))
        if isinstance(request, Collect):
            return encode(self.simulation.collect(request))
        return self.run(request)

    def run(self, request: RunScript) -> bytes:
        """Update what the worker holds, then run each item within its limits."""
        self._take(request)
        started, size = time.monotonic(), 0
        outcomes: list[msgspec.Raw] = []
        for item in request.items:
            if outcomes and (time.monotonic() - started > request.seconds or size > BATCH_LIMIT):
                outcome = encode(PutOff(item.number))
            else:
                outcome = self._item(request, item)
            size += len(outcome)
            outcomes.append(msgspec.Raw(outcome))
        return encode(["Reply", outcomes])

    def _take(self, request: RunScript) -> None:
        if request.settle:
            self.holdings.settle(request.settle == "promote")
        if request.clear:
            self.holdings.clear()
        self._add(request)
        self.holdings.complete.update(map(tuple, request.complete))  # type: ignore[arg-type]
        self.holdings.too_wide.update(map(tuple, request.too_wide))  # type: ignore[arg-type]

    def _add(self, request: RunScript | SimulateDraws) -> None:
        for exp_id, scripts in request.programs.items():
            self.sources[exp_id] = scripts or {}
            self.holdings.programs[exp_id] = None if scripts is None else _compiled(exp_id, scripts)
        for entry in request.thetas:
            self.holdings.base.put(entry.exp_id, entry.name, entry.key, entry.value, entry.theta)

    def _item(self, request: RunScript, item: Item) -> bytes:
        call = ScriptCall(self.holdings, sees_waiting=request.keep)

        def attempt() -> tuple[bool, bytes]:
            try:
                return True, self._execute(call, request, item)
            except Miss:
                return False, b""
            except BaseException as error:
                # The repeated alarm may go off while the message is built; then TimeUp replaces the error.
                failed = self._failure(error, request.exp_id, request.script, item.number, request.seconds)
                failed.printed = call.printed
                return False, encode(failed)

        try:
            ran, outcome = _limited(attempt, request.seconds)
        except TimeUp:
            failed = _too_long(request.script, item.number, request.seconds)
            failed.printed = call.printed
            ran, outcome = False, encode(failed)
        if call.missed:
            return encode(Missed(item.number, call.missing_thetas, call.missing_ranges, call.missing_programs))
        if ran and request.keep:
            self.holdings.waiting.merge(call.writes)
        return outcome

    def _execute(self, call: ScriptCall, request: RunScript, item: Item) -> bytes:
        program = self.holdings.programs[request.exp_id]
        assert program is not None
        np.random.seed(item.seed)
        random.seed(item.seed)
        seen = Self(call, request.exp_id, item.context, item.action, item.reward)
        call.touched.add(request.exp_id)
        execute(call, program[request.script], seen)
        if call.missed:
            raise Miss
        field = _FILLS.get(request.script)
        result = fresh(kept_row(getattr(seen, field), f"self.{field}")) if field else {}
        if request.script == "get_action" and (problem := propensity_fault(result)):
            raise NotStorable(problem)
        done = Done(
            item.number, result, list(call.writes.entries()), call.logs, call.debug, sorted(call.touched), call.printed
        )
        outcome = encode(done)
        if len(outcome) > ITEM_LIMIT:
            raise NotStorable(f"the script gives back more than {ITEM_LIMIT >> 20} MiB")
        if value_count(len(outcome), _parts(done)) > ITEM_VALUES:
            raise NotStorable(f"the script gives back more than {ITEM_VALUES:,} values")
        return outcome

    def _failure(self, error: BaseException, exp_id: str, script: str, number: int, seconds: float) -> Failed:
        if isinstance(error, TimeUp):
            return _too_long(script, number, seconds)
        script, line = _place(error, script)
        lines = self.sources.get(exp_id, {}).get(script, "").splitlines()
        source = lines[line - 1].strip()[:500] if line and line <= len(lines) else None
        return Failed(number, script, _message(error), line, source, isinstance(error, MemoryError))


def _parts(done: Done) -> Iterator[Any]:
    yield from (done.result, done.logs, done.debug)
    for write in done.writes:
        yield None if write.theta is None else msgspec.msgpack.decode(write.theta)


def _too_long(script: str, number: int, seconds: float) -> Failed:
    return Failed(number, script, f"{script} ran longer than {seconds:g} s", None, None, True)


def _message(error: BaseException) -> str:
    if isinstance(error, NotStorable):
        return str(error)[:500]
    if isinstance(error, MemoryError):
        return "MemoryError: the script needs more memory than sandbox.memory_mb allows"
    name = str(type.__getattribute__(type(error), "__name__"))[:80]
    try:
        said = str(error)[:500]
    except TimeUp:
        raise
    except BaseException as second:  # str() of a script's own class may do anything
        said = f"its message could not be read ({type(second).__qualname__[:80]})"
    return f"{name}: {said}".rstrip(": ").encode("utf-8", "replace").decode()


def _place(error: BaseException, script: str) -> tuple[str, int | None]:
    """Return the innermost line of a script in the traceback."""
    place: tuple[str, int | None] = (script, None)
    for frame, line in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename.removeprefix("<").split(" of ")[0]
        if name in SCRIPTS:
            place = (name, min(line, _LAST_LINE))
    return place


def _compiled(exp_id: str, scripts: dict[str, str]) -> dict[str, CodeType]:
    return {
        name: compile(source, f"<{name} of {exp_id}>", "exec", dont_inherit=True) for name, source in scripts.items()
    }


_armed = False
_alarm_raised = False


def _limited(attempt: Callable[[], tuple[bool, bytes]], seconds: float) -> tuple[bool, bytes]:
    """Run ``attempt``; after ``seconds`` raise TimeUp in it every 20 ms until it ends, and then here."""
    global _armed, _alarm_raised
    _armed, _alarm_raised = True, False
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.02)
    try:
        outcome = attempt()
    finally:
        _armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    if _alarm_raised:  # the script caught it
        raise TimeUp
    return outcome


_OWN_FRAMES: tuple[CodeType, ...] = (_limited.__code__, _Worker._item.__code__)


def _alarm(number: int, frame: FrameType | None) -> None:
    # Not in this module's own functions: they must finish, and the alarm repeats.
    global _alarm_raised
    if _armed and frame is not None and frame.f_code not in _OWN_FRAMES:
        _alarm_raised = True
        raise TimeUp


def _read(size: int) -> bytes:
    if size > FRAME_LIMIT:
        os._exit(1)
    parts = []
    while size:
        part = os.read(CHANNEL, min(size, 2**20))
        if not part:
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(data: bytes) -> None:
    view: Any = memoryview(data)
    while view:
        view = view[os.write(CHANNEL, view) :]
