"""Simulations: visits made up by an experiment's own scripts, in worker processes that serve nothing else.

A run has a worker of its own from its first draw to its last, and theta lives in that worker. So no live theta can be
touched, the same seed meets the same state, and a run costs the server only what it wants to show. Workers of
simulations come from a second zygote (``app.sandbox.host.interpreter``), started by the first run. They have a lower
priority than live ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Protocol

import msgspec

from app.domain.simulation import ArmTotals, SeriesPoint
from app.domain.theta import joined
from app.errors import DrawFailed, Overloaded
from app.sandbox.host import reply_validation
from app.sandbox.host.channel import Worker, WorkerEnded, WorkerLost, WorkerTooSlow
from app.sandbox.host.reply_validation import Draws
from app.sandbox.host.zygote_client import Source
from app.sandbox.protocol import POINTS, Collect, Entry, Failed, SimulateDraws, encode
from app.sandbox.worker.clock import PATIENCE

THETA_BYTES = 48 * 2**20
_MAX_WAITING = 64
_GRACE_SECONDS = 2.0
_COLLECT_SECONDS = 10.0
_SCRIPTS = 4
_decode = msgspec.msgpack.Decoder().decode


class Simulators:
    """Starts the processes of simulations: ``places`` at once, of which runs in the background leave one to others."""

    def __init__(self, source: Source, places: int) -> None:
        self.places = places
        self._source = source
        self._free = asyncio.Semaphore(places)
        self._free_behind = asyncio.Semaphore(max(1, places - 1))
        self._waiting = 0

    @asynccontextmanager
    async def worker(self, *, background: bool = False) -> AsyncIterator[Worker]:
        """Lease a fresh worker for one run, and kill it after; ``Overloaded`` if too many others wait for one."""
        if self._waiting >= _MAX_WAITING and not background:
            raise Overloaded()
        if background:
            async with self._free_behind, self._one() as worker:
                yield worker
        else:
            async with self._one() as worker:
                yield worker

    async def stop(self) -> None:
        """Kill all of them."""
        await self._source.stop()

    @asynccontextmanager
    async def _one(self) -> AsyncIterator[Worker]:
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            worker = await self._source.spawn()
            try:
                yield worker
            finally:
                worker.kill()
        finally:
            self._free.release()


@dataclass(frozen=True)
class SimulatedExperiment:
    """An experiment in a simulation: its scripts, and the thetas it starts with."""

    scripts: dict[str, str]
    thetas: list[Entry] = field(default_factory=list)


class ExperimentSource(Protocol):
    """Finds the experiments of a simulation: its own, and those that its scripts call."""

    async def find(self, exp_id: str) -> SimulatedExperiment | None:
        """Return the experiment; None if there is none that may be called."""


@dataclass(frozen=True)
class SimulationTask:
    """What to simulate: ``n`` draws of an experiment, seeded from ``seed``; with ``rows`` every draw is shown."""

    exp_id: str
    n: int
    seed: str
    rows: bool
    call_seconds: float
    range_max: int
    points: int = POINTS

    @property
    def step(self) -> int:
        """The series has a point after every so many draws."""
        return ceil(self.n / self.points)


class RunningSimulation:
    """One run: how far it is, what came of it so far, and at its end its theta."""

    def __init__(self, task: SimulationTask, world: ExperimentSource, worker: Worker) -> None:
        self.task = task
        self.done = 0
        self.arms: list[ArmTotals] = []
        self.points: list[SeriesPoint] = []
        self._world = world
        self._worker = worker
        self._new: dict[str, SimulatedExperiment | None] = {}
        self._members: set[str] = set()

    async def draws(self) -> AsyncIterator[list[list[dict[str, Any]]]]:
        """Make all draws, some at a time; yields the rows of each part, which are empty unless the task wants rows.

        Raises ``DrawFailed`` if a script fails; then the simulation is over.
        """
        await self._bring([self.task.exp_id])
        while self.done < self.task.n:
            part = await self._ask()
            self.done += part.done
            self.arms = part.arms
            self.points += part.points
            if len(self.points) > POINTS:
                raise self._killed("made its process give an answer that no script may give")
            yield part.rows
            if part.failed is not None:
                raise _draw_failed(self.done, part.failed)
            await self._bring(part.missed)

    async def thetas(self) -> list[Entry]:
        """Return all thetas that the run has left, those of experiments that it called included."""
        found: list[Entry] = []
        more, size = True, 0
        while more:
            answer = await self._answer(encode(Collect(len(found))), _COLLECT_SECONDS)
            try:
                entries, more = await reply_validation.read_thetas(answer, self._members)
            except reply_validation.Forged as error:
                raise self._killed(f"made its process give an answer that no script may give: {error}") from error
            found += entries
            size += sum(len(entry.theta or b"") for entry in entries)
            if size > THETA_BYTES:
                raise self._killed(f"left more theta than the {THETA_BYTES >> 20} MiB that a simulation may show")
        return found

    async def _bring(self, exp_ids: list[str]) -> None:
        """Find the experiments that go to the worker with the next frame."""
        for exp_id in exp_ids:
            member = await self._world.find(exp_id)
            self._new[exp_id] = member
            if member is not None:
                self._members.add(exp_id)

    async def _ask(self) -> Draws:
        task, new, self._new = self.task, self._new, {}
        asked = SimulateDraws(
            exp_id=task.exp_id,
            seed=task.seed,
            first=self.done,
            count=task.n - self.done,
            call_seconds=task.call_seconds,
            range_max=task.range_max,
            step=task.step,
            rows=task.rows,
            programs={exp_id: member.scripts if member else None for exp_id, member in new.items()},
            thetas=[entry for member in new.values() if member for entry in member.thetas],
        )
        allowed = _GRACE_SECONDS + _SCRIPTS * PATIENCE * task.call_seconds
        try:
            return await reply_validation.read_draws(await self._answer(encode(asked), allowed), asked)
        except reply_validation.Forged as error:
            raise self._killed(f"made its process give an answer that no script may give: {error}") from error

    async def _answer(self, payload: bytes, seconds: float) -> bytearray:
        try:
            return await self._worker.request(payload, seconds)
        except WorkerTooSlow as error:
            raise self._killed(f"ran longer than {self.task.call_seconds:g} s and had to be killed") from error
        except WorkerEnded as error:
            raise self._killed("ended the process it ran in, or used up its memory") from error
        except WorkerLost as error:
            raise self._killed(f"made its process give an answer that no script may give: {error}") from error

    def _killed(self, what: str) -> DrawFailed:
        """Kill the worker; return the error, as it can no longer say itself in which draw it was."""
        self._worker.kill()
        return DrawFailed(self.done, None, f"in this draw or soon after it a script {what}"[:500], None, None)


def _draw_failed(number: int, failed: Failed) -> DrawFailed:
    return DrawFailed(number, failed.script, failed.message, failed.line, failed.source)


def shown_theta(entries: list[Entry], exp_id: str, name: str = "_theta") -> dict[str, Any]:
    """Return the thetas of one name in the form in which ``get_theta()`` gives them."""
    ours = [entry for entry in entries if entry.exp_id == exp_id and entry.name == name]
    if len(ours) == 1 and ours[0].key is None:
        return dict(_decode(ours[0].theta or b"\x80"))
    return {joined(entry.key, entry.value): _decode(entry.theta or b"\x80") for entry in ours}
