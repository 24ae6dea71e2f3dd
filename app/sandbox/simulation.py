"""Whole visits in the worker: context, action, reward and learning, many times over, on theta that nobody else sees.

Each script sees exactly what it would see in a live call: what the one before it left, made plain JSON and copied, and
theta as committed before. A visit counts whole or not at all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import CodeType
from typing import Any

import msgspec
import numpy as np

from app.domain.experiment import SCRIPTS
from app.domain.ids import seed_of
from app.domain.simulation import arm_of, value_of
from app.sandbox.cleaning import NotStorable, cleaned_dict
from app.sandbox.clock import Clock, TimeUp
from app.sandbox.protocol import (
    ARMS,
    BATCH_LIMIT,
    ITEM_LIMIT,
    ROW_LIMIT,
    Arm,
    Collect,
    Collected,
    Entry,
    Failed,
    Point,
    Simulate,
    Simulated,
    encode,
)
from app.sandbox.script import Call, Holdings, Miss, Self, Thetas, execute

# How long and how much before the server hears of it: it shows progress, and may want to stop.
_FRAME_SECONDS = 0.1
_FRAME_BYTES = 128 * 2**10
_OTHERS = "(other arms)"
_FILLED = ("context", "action", "reward")
_ATOMS = frozenset((str, int, float, bool, type(None)))

# Puts an error into words: given the experiment, the script, the number of the draw, and the seconds a script may run.
Explain = Callable[[BaseException, str, str, int, float], Failed]


class Tally:
    """What came of all draws so far, by arm; more arms than can be told apart are counted as one."""

    def __init__(self) -> None:
        self.arms: dict[str, Arm] = {}
        self.total = 0.0

    def add(self, action: dict[str, Any], reward: dict[str, Any]) -> None:
        """Count one draw."""
        name = arm_of(action)
        arm = self.arms.get(name)
        if arm is None:
            name = name if len(self.arms) < ARMS - 1 else _OTHERS
            arm = self.arms.setdefault(name, Arm(name))
        arm.pulls += 1
        value = value_of(reward)
        if value is not None:
            arm.rewards += 1
            arm.total += value
            arm.squares += value * value
            self.total += value

    def point(self, draws: int) -> Point:
        """Where it stands now."""
        return Point(draws, self.total, [arm.pulls for arm in self.arms.values()])


class _Draw:
    """One visit on its way: its number, and the context, action and reward that it has so far."""

    __slots__ = ("clock", "filled", "number", "request")

    def __init__(self, request: Simulate, clock: Clock, number: int) -> None:
        self.request = request
        self.clock = clock
        self.number = number
        self.filled: list[dict[str, Any]] = [{}, {}, {}]


class Stopped(Exception):
    """A draw failed; ``failed`` says how."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


class Missing(Exception):
    """A nested experiment is not held yet."""

    def __init__(self, programs: list[str]) -> None:
        super().__init__()
        self.programs = programs


class Simulation:
    """The draws of one simulation; ``sources`` are the scripts as text, ``explain`` puts errors into words."""

    def __init__(self, holdings: Holdings, sources: dict[str, dict[str, str]], explain: Explain) -> None:
        self._holdings = holdings
        self._sources = sources
        self._explain = explain
        self._tally = Tally()
        self._entries: list[Entry] = []

    def run(self, request: Simulate) -> Simulated:
        """As many draws of the frame as there is time and room for."""
        self._holdings.closed = True
        answer = Simulated(0, [], [], [], [], None)
        until = time.monotonic() + _FRAME_SECONDS
        size = 0
        with Clock(request.call_seconds, _SPARED) as clock:
            while answer.done < request.count and size < _FRAME_BYTES and (not answer.done or time.monotonic() < until):
                try:
                    size += self._add_draw(answer, _Draw(request, clock, request.first + answer.done))
                except Stopped as stopped:
                    answer.failed = stopped.failed
                    break
                except Missing as missing:
                    answer.missed = missing.programs
                    break
        answer.arms = list(self._tally.arms.values())
        return answer

    def _add_draw(self, answer: Simulated, draw: _Draw) -> int:
        """Make a draw and count it; how many bytes it adds to the answer."""
        self._make(draw)
        size = 0
        if draw.request.rows:
            row = self._row(draw)
            answer.rows.append(row)
            size = len(row)
        answer.done += 1
        self._tally.add(draw.filled[1], draw.filled[2])
        if (draw.number + 1) % draw.request.step == 0:
            answer.points.append(self._tally.point(draw.number + 1))
        return size

    def _make(self, draw: _Draw) -> None:
        """One visit: theta is changed by all of its scripts or by none."""
        exp_id = draw.request.exp_id
        program, sources = self._holdings.programs[exp_id], self._sources[exp_id]
        assert program is not None
        seed = seed_of(draw.request.seed, str(draw.number))
        np.random.seed(seed)
        random.seed(seed)
        try:
            for place, script in enumerate(SCRIPTS):
                if sources[script]:
                    self._run(draw, place, program[script])
        except BaseException:
            self._holdings.settle(False)
            raise
        self._holdings.settle(True)

    def _run(self, draw: _Draw, place: int, code: CodeType) -> None:
        """One script, within its time; what it filled becomes part of the draw."""
        call = Call(self._holdings, sees_waiting=True)
        call.range_max = draw.request.range_max
        seen = Self(call, draw.request.exp_id, *map(_copied, draw.filled))
        clock, failed = draw.clock, None
        clock.begin()
        try:
            try:
                _execute(call, code, seen, place, draw.filled)
            except Miss:
                pass
            except BaseException as error:  # its class is the script's own: putting it into words may take for ever
                failed = self._failed(error, draw, place)
        except TimeUp:
            pass
        finally:
            clock.end()
        if clock.struck:
            failed = self._failed(TimeUp(), draw, place)
        elif call.missed:
            raise Missing(call.missing_programs)
        if failed is not None:
            raise Stopped(failed)
        self._holdings.waiting.merge(call.writes)

    def _row(self, draw: _Draw) -> msgspec.Raw:
        theta = Thetas(Call(self._holdings, sees_waiting=False), draw.request.exp_id).get_theta()
        row = encode([*draw.filled, theta])
        if len(row) > ITEM_LIMIT:
            error = NotStorable("theta has grown too large to be shown with every draw; simulate with verbose=False")
            raise Stopped(self._failed(error, draw, len(SCRIPTS) - 1))
        return msgspec.Raw(row)

    def _failed(self, error: BaseException, draw: _Draw, place: int) -> Failed:
        return self._explain(error, draw.request.exp_id, SCRIPTS[place], draw.number, draw.request.call_seconds)

    def collect(self, request: Collect) -> Collected:
        """Some of the thetas that the draws have left."""
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


def _execute(call: Call, code: CodeType, seen: Self, place: int, filled: list[dict[str, Any]]) -> None:
    execute(call, code, seen)
    if call.missed or place == len(_FILLED):
        return
    field = _FILLED[place]
    filled[place] = cleaned_dict(getattr(seen, field), f"self.{field}")
    if len(encode(filled[place])) > ROW_LIMIT:
        raise NotStorable(f"self.{field} holds more than {ROW_LIMIT >> 10} KiB")


def _copied(values: dict[str, Any]) -> dict[str, Any]:
    """A copy that shares nothing a script could change."""
    copy = values.copy()
    for key, value in copy.items():
        if type(value) not in _ATOMS:
            copy[key] = msgspec.msgpack.decode(encode(value))
    return copy


_SPARED = (Simulation._run.__code__,)
