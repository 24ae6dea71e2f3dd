"""Whole visits in the worker: context, action, reward and learning, many times over, on thetas of this worker alone.

Each script sees what it would see in a live call: what the one before it filled, made plain JSON and copied, and theta
as committed before. A visit counts whole or not at all.

Seeding both generators costs more than some whole visits do, so it is done once for a stretch of draws. Where scripts
may call other experiments a stretch is one draw: if another experiment has to be fetched first, the draw is made again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import msgspec
import numpy as np

from app.domain.experiment import SCRIPTS
from app.domain.ids import seed_of
from app.domain.outcomes import propensity_fault
from app.domain.simulation import stretch_of
from app.sandbox.protocol import (
    BATCH_LIMIT,
    ITEM_LIMIT,
    Collect,
    Collected,
    Entry,
    Failed,
    Simulated,
    SimulateDraws,
    encode,
)
from app.sandbox.worker.arm_counts import ArmCounts
from app.sandbox.worker.clock import Clock, TimeUp
from app.sandbox.worker.imports import SCRIPT_BUILTINS
from app.sandbox.worker.script import Holdings, Miss, ScriptThetas, Self, names_for
from app.sandbox.worker.script_function import as_function
from app.sandbox.worker.to_json import Kept, NotStorable, fresh, is_flat, kept_row
from app.sandbox.worker.undo_log import UndoLog

# How much is done before the worker answers, so that the server can show progress and stop the run.
_FRAME_SECONDS = 0.1
_FRAME_BYTES = 128 * 2**10
# What each script fills, and what that is called where something is wrong with it; the last one fills nothing.
_FILLED = (("context", "self.context"), ("action", "self.action"), ("reward", "self.reward"))

_ACTION = 1

Explain = Callable[[BaseException, str, str, int, float], Failed]


class Stopped(Exception):
    """A draw failed; ``failed`` says how."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


class Missing(Exception):
    """A nested experiment is not held yet."""


class SimulationLoop:
    """The draws of one simulation; ``sources`` are the scripts as text, ``explain`` makes a ``Failed`` of an error."""

    def __init__(self, holdings: Holdings, sources: dict[str, dict[str, str]], explain: Explain) -> None:
        self._holdings = holdings
        self._sources = sources
        self._explain = explain
        self._undo_log = UndoLog(holdings)
        self._arm_counts = ArmCounts()
        self._codes: list[tuple[int, CodeType, CodeType | None]] = []
        self._steps: list[tuple[int, Callable[[Self], None], bool]] = []
        self._seen = Self(self._undo_log, "", {}, {}, {})
        self._entries: list[Entry] = []

    def run(self, request: SimulateDraws) -> Simulated:
        """Make as many draws of the frame as there is time and room for."""
        answer = Simulated(0, [], [], [], [], None)
        undo_log, arm_counts = self._undo_log, self._arm_counts
        if request.exp_id in request.programs:
            self._prepare(request.exp_id)
        undo_log.range_max = request.range_max
        stretch, step = stretch_of(self._sources[request.exp_id]), request.step
        number, last, size = request.first, request.first + request.count, 0
        until = time.monotonic() + _FRAME_SECONDS
        try:
            with Clock(request.call_seconds, _SPARED) as clock:
                while number < last and size < _FRAME_BYTES and (not answer.done or time.monotonic() < until):
                    if number % stretch == 0 or not self._steps:
                        self._begin_stretch(request, number)
                    context, action, reward = self._draw(request, clock, number)
                    undo_log.keep()
                    if request.rows:
                        answer.rows.append(self._row(request, number, [context, action, reward]))
                        size += len(answer.rows[-1])
                    arm_counts.add(action, reward)
                    number += 1
                    answer.done += 1
                    if number % step == 0:
                        answer.points.append(arm_counts.point(number))
        except Stopped as stopped:
            answer.failed = stopped.failed
        except Missing:
            answer.missed = undo_log.missing_programs
        undo_log.take_back()
        answer.arms = arm_counts.arms
        return answer

    def _prepare(self, exp_id: str) -> None:
        """Compile each script to a function, where that changes nothing."""
        program, sources = self._holdings.programs[exp_id], self._sources[exp_id]
        assert program is not None
        given = {*names_for(self._undo_log), *SCRIPT_BUILTINS}
        self._codes = [
            (place, program[script], as_function(sources[script], program[script].co_filename, given))
            for place, script in enumerate(SCRIPTS)
            if sources[script]
        ]

    def _begin_stretch(self, request: SimulateDraws, number: int) -> None:
        """Seed both generators from the number of the draw, and give scripts fresh builtins."""
        seed = seed_of(request.seed, str(number))
        np.random.seed(seed)
        random.seed(seed)
        names = names_for(self._undo_log)
        self._steps = [
            (place, FunctionType(body, names) if body else partial(_execute, code, names), body is not None)
            for place, code, body in self._codes
        ]
        self._seen = Self(self._undo_log, request.exp_id, {}, {}, {})

    def _draw(self, request: SimulateDraws, clock: Clock, number: int) -> tuple[Kept, Kept, Kept]:
        """Make one visit; return the context, action and reward that its scripts filled."""
        undo_log, seen = self._undo_log, self._seen
        filled: list[Kept] = [{}, {}, {}]
        turn = number * len(SCRIPTS) + 1
        for place, run, is_function in self._steps:
            # Written out here and below, as calls of functions would cost as much again.
            context, action, reward = filled
            seen.context = context.copy() if type(context) is dict else fresh(context)
            seen.action = action.copy() if type(action) is dict else fresh(action)
            seen.reward = reward.copy() if type(reward) is dict else fresh(reward)
            undo_log.written, failed, clock.turn = 0, None, turn + place
            try:
                try:
                    run(seen)
                    if place < len(_FILLED):
                        field, what = _FILLED[place]
                        value = getattr(seen, field)
                        filled[place] = row = value.copy() if is_flat(value) else kept_row(value, what)
                        if place == _ACTION and (problem := propensity_fault(row if type(row) is dict else fresh(row))):
                            raise NotStorable(problem)
                except Miss:
                    pass
                except BaseException as error:  # its class is the script's own: its __str__ may never return
                    failed = self._failed(error, request, number, place)
            except TimeUp:
                pass
            clock.turn = 0
            if clock.expired:
                failed = self._failed(TimeUp(), request, number, place)
            elif undo_log.missing_programs:
                raise Missing
            if failed is not None:
                raise Stopped(failed)
            if undo_log.logs or undo_log.debug or undo_log.printed:
                undo_log.forget()
            if not is_function:
                self._seen = seen = Self(undo_log, request.exp_id, {}, {}, {})
        return filled[0], filled[1], filled[2]

    def _row(self, request: SimulateDraws, number: int, filled: list[Kept]) -> msgspec.Raw:
        theta = ScriptThetas(self._undo_log, request.exp_id).get_theta()
        row = encode([*map(fresh, filled), theta])
        if len(row) > ITEM_LIMIT:
            error = NotStorable("theta has grown too large to be shown with every draw; simulate with verbose=False")
            raise Stopped(self._failed(error, request, number, len(SCRIPTS) - 1))
        return msgspec.Raw(row)

    def _failed(self, error: BaseException, request: SimulateDraws, number: int, place: int) -> Failed:
        return self._explain(error, request.exp_id, SCRIPTS[place], number, request.call_seconds)

    def collect(self, request: Collect) -> Collected:
        """Return some of the thetas that the draws have left."""
        if request.first == 0:
            self._entries = [entry for entry in self._holdings.base.entries() if entry.theta is not None]
        answer = Collected([], False)
        size = 0
        for entry in self._entries[request.first :]:
            answer.thetas.append(msgspec.Raw(encode(entry)))
            size += len(answer.thetas[-1])
            if size > BATCH_LIMIT:
                break
        answer.more = request.first + len(answer.thetas) < len(self._entries)
        return answer


def _execute(code: CodeType, names: dict[str, Any], seen: Self) -> None:
    own = names.copy()
    own["self"] = seen
    exec(code, own)


_SPARED = (SimulationLoop._draw.__code__,)
