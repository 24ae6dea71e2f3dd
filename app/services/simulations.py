"""Simulations as their owners run them: at once, while they wait, or in the background.

Every run has a task of its own, so that it ends when its caller goes away, when somebody cancels it, or with the
server. A run in the background is a document that shows signs of life while it runs; where they end, its server has.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.analysis.summary import TOTAL, arms_table, regrets, series, spread_of
from app.domain.experiment import Experiment, Head
from app.domain.ids import new_id
from app.domain.simulation import MAX_DRAWS, MAX_REPEATS, Plan, RepetitionResult, missing_script
from app.domain.theta import ThetaKey
from app.engine.api import EngineAPI
from app.engine.limits import Limits
from app.errors import InvalidParameter, NotFound, Overloaded, StoreUnavailable, ThetaloopError
from app.sandbox.protocol import Entry, encode
from app.services.statistics import as_theta
from app.simulation.dask import Cluster
from app.simulation.recording import named
from app.simulation.repetitions import Progress, RepetitionProgress, done_in, results_of, run_side_by_side, tasks_of
from app.simulation.runner import (
    THETA_BYTES,
    RunningSimulation,
    SimulatedExperiment,
    SimulationTask,
    Simulators,
    shown_theta,
)
from app.storage.client import Document
from app.storage.store import Store
from app.storage.thetas import StoredTheta

_CHUNK_ROWS = 2_000
_CHUNK_BYTES = 4 * 2**20
_MAX_IN_ALL = 100_000_000
_MAX_BEHIND = 200
_LISTED = 200
_BEAT_SECONDS = 0.5
_SUMMED_BEATS = 10
_DEAD_AFTER = timedelta(seconds=10)
_decode = msgspec.msgpack.Decoder().decode
_log = logging.getLogger("thetaloop")


class OwnerExperiments:
    """The world of a simulation on this server: experiments of one owner, each with nothing learned or a live copy."""

    def __init__(self, store: Store, owner: str, current: bool) -> None:
        self.copied: dict[str, Head] = {}
        self._store = store
        self._owner = owner
        self._current = current

    async def find(self, exp_id: str) -> SimulatedExperiment | None:
        """The experiment, if it is this owner's."""
        experiment = await self._store.experiments.find(exp_id)
        if experiment is None or experiment.owner != self._owner:
            return None
        return SimulatedExperiment(experiment.scripts, await self._copy(exp_id) if self._current else [])

    async def _copy(self, exp_id: str) -> list[Entry]:
        found = await self._store.thetas.copy(exp_id, THETA_BYTES)
        if found is None:
            raise InvalidParameter("start", f"a simulation can start from at most {THETA_BYTES >> 20} MiB of theta")
        self.copied[exp_id], thetas = found
        return [Entry(*one.key, encode(one.theta)) for one in thetas]


@dataclass
class SimulationRun:
    """One simulation on its way: read its ``draws``, then ask the service to ``finish`` it."""

    id: str
    experiment: Experiment
    plan: Plan
    simulation: RunningSimulation
    world: OwnerExperiments
    chunks: Chunks | None

    async def draws(self) -> AsyncIterator[list[list[dict[str, Any]]]]:
        """Make the draws, some at a time: context, action, reward and theta of each, if they are wanted."""
        async for rows in self.simulation.draws():
            if self.chunks is not None:
                await self.chunks.add([named(row) for row in rows])
            yield rows


class Chunks:
    """What a run stores piece by piece, of one ``kind``."""

    def __init__(self, store: Store, exp_id: str, run_id: str, kind: str) -> None:
        self._store = store
        self._exp_id = exp_id
        self._run_id = run_id
        self._kind = kind
        self._first = 0
        self._size = 0
        self._rows: list[Document] = []

    async def add(self, rows: list[Document]) -> None:
        """Take some more; what has gathered is stored now and then."""
        for row in rows:
            self._rows.append(row)
            self._size += len(encode(row))
            if self._size > _CHUNK_BYTES or len(self._rows) >= _CHUNK_ROWS:
                await self.flush()

    async def flush(self) -> None:
        """Store what has gathered."""
        if self._rows:
            await self._store.simulations.add_chunk(self._exp_id, self._run_id, self._kind, self._first, self._rows)
            self._first += len(self._rows)
            self._size, self._rows = 0, []


class SimulationService:
    """Every call is about an experiment that the caller has been found to own."""

    def __init__(
        self, store: Store, engine: EngineAPI, simulators: Simulators, limits: Limits, cluster: Cluster | None = None
    ) -> None:
        self._store = store
        self._engine = engine
        self._simulators = simulators
        self._limits = limits
        self._cluster = cluster
        self._tasks: set[asyncio.Task[Any]] = set()
        self._behind: dict[str, asyncio.Task[None]] = {}
        self._under_way: dict[str, dict[int, Progress]] = {}
        self._cancelled: set[str] = set()
        self._closing = False

    async def close(self) -> None:
        """End every run; whoever waits for one is told, and those in the background are marked as failed."""
        self._closing = True
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # While the caller waits ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def opened(self, experiment: Experiment, plan: Plan, *, rows: bool) -> AsyncIterator[SimulationRun]:
        """A run for a caller who waits; it is over when this is left. ``close`` cancels the task it is opened in."""
        self._require_possible(experiment, plan)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            async with self._run(experiment, plan, new_id(), rows=rows) as run:
                yield run
        finally:
            self._tasks.discard(task)

    async def finish(self, run: SimulationRun) -> dict[str, Any]:
        """The theta that the run has left; it is committed and the run is stored, if that is wanted."""
        thetas = await self._thetas(run)
        if run.plan.log_stats:
            values = {
                "status": "done",
                "done": run.plan.n,
                "logged": True,
                **await _summed({0: run.simulation}, run.plan.expected),
            }
            await self._store.simulations.insert(_described(run.experiment, run.plan, run.id) | values)
        return shown_theta(thetas, run.experiment.id)

    # In the background ---------------------------------------------------------------------------------------------

    async def start(self, experiment: Experiment, plan: Plan) -> str:
        """Begin a run; its id."""
        self._require_possible(experiment, plan)
        if len(self._behind) >= _MAX_BEHIND:
            raise Overloaded()
        run_id = new_id()
        await self._store.simulations.insert(_described(experiment, plan, run_id) | {"status": "running", "done": 0})
        task = asyncio.create_task(self._work(experiment, plan, run_id))
        self._behind[run_id] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.sleep(0)  # a task that is cancelled before it has begun could not say so
        return run_id

    async def all(self, exp_id: str) -> list[Document]:
        """The newest runs, without their series."""
        now = await self._store.leases.now()
        return [_alive(row, now) for row in await self._store.simulations.of(exp_id, _LISTED)]

    async def find(self, exp_id: str, run_id: str) -> Document:
        """One run with its series, of one under way as far as it is, and, where it was not repeated, its theta."""
        row = await self._store.simulations.find(exp_id, run_id)
        if row is None:
            raise NotFound(f"this experiment has no simulation {run_id!r}")
        if row["status"] == "done" and row["repeat"] == 1:
            row["theta"] = as_theta([one async for one in self._store.simulations.rows(run_id, "theta")])
        under_way = self._under_way.get(run_id)
        if row["status"] == "running" and under_way is not None:
            row |= {"done": _done(under_way), **await _summed(under_way, _expected(row))}
        return _alive(row, await self._store.leases.now())

    async def cancel(self, exp_id: str, run_id: str) -> Document:
        """Stop a run, here or on another server; one that has ended stays as it is."""
        row = await self.find(exp_id, run_id)
        task = self._behind.get(run_id)
        if task is not None:
            self._cancelled.add(run_id)
            task.cancel()
            await asyncio.wait([task])
        elif row["status"] == "running":
            await self._store.simulations.cancel(run_id)
        return await self.find(exp_id, run_id)

    async def logged(self, row: Document) -> AsyncIterator[Document]:
        """The draws of a run that was stored with them."""
        async for draw in self._store.simulations.rows(row["_id"], "draws"):
            yield draw

    async def theta_of(self, row: Document) -> dict[str, Any]:
        """The theta that a stored run has left."""
        return as_theta([one async for one in self._store.simulations.rows(row["_id"], "theta")])

    async def _work(self, experiment: Experiment, plan: Plan, run_id: str) -> None:
        """A run in the background from its beginning to its last word."""
        simulations: dict[int, Progress] = {}
        self._under_way[run_id] = simulations
        beat = asyncio.create_task(self._show_life(run_id, plan, simulations))
        try:
            await self._repetitions(experiment, plan, run_id, simulations)
            values = {"status": "done", "logged": plan.log_stats}
        except asyncio.CancelledError:
            cancelled = run_id in self._cancelled
            values = {"status": "cancelled"} if cancelled else _failed(message="the server was stopped")
        except ThetaloopError as error:
            values = _failed(message=error.message, detail=error.detail)
        except Exception:
            _log.exception("a simulation failed")
            values = _failed(message="the server made a mistake; its log says which")
        del self._behind[run_id], self._under_way[run_id]
        self._cancelled.discard(run_id)
        await _ended(beat)
        try:
            summed = await _summed(simulations, plan.expected)
            await self._store.simulations.update(run_id, {"done": _done(simulations), **summed, **values})
        except StoreUnavailable:
            _log.warning("the end of simulation %s could not be stored", run_id)

    async def _repetitions(
        self,
        experiment: Experiment,
        plan: Plan,
        run_id: str,
        simulations: dict[int, Progress],
    ) -> None:
        """All of them, as many at once as there are processes for; the first failure is the run's."""
        if plan.repeat > 1 and self._cluster is not None:
            parts = [RepetitionProgress() for _ in range(plan.repeat)]
            simulations.update(enumerate(parts))
            tasks = self._tasks_of(experiment, plan)
            world = OwnerExperiments(self._store, experiment.owner, plan.current)
            if await self._cluster.repetitions(run_id, tasks, world, parts):
                return

        async def repetition(number: int) -> None:
            async with self._run(experiment, plan, run_id, number=number, background=True) as run:
                simulations[number] = run.simulation
                async for _ in run.draws():
                    pass
                if plan.repeat == 1:
                    await self._thetas(run, stored=True)

        await run_side_by_side(plan.repeat, repetition)

    async def _show_life(self, run_id: str, plan: Plan, simulations: dict[int, Progress]) -> None:
        """Show how far the run is, and see whether it was cancelled at another server."""
        for beat in itertools.count(1):
            await asyncio.sleep(_BEAT_SECONDS)
            shown = {"done": _done(simulations)}
            if beat % _SUMMED_BEATS == 0:
                shown |= await _summed(simulations, plan.expected)
            with contextlib.suppress(StoreUnavailable):
                if await self._store.simulations.update(run_id, shown) and run_id in self._behind:
                    self._cancelled.add(run_id)
                    self._behind[run_id].cancel()

    # Both ----------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run(
        self,
        experiment: Experiment,
        plan: Plan,
        run_id: str,
        *,
        number: int = 0,
        rows: bool = False,
        background: bool = False,
    ) -> AsyncIterator[SimulationRun]:
        world = OwnerExperiments(self._store, experiment.owner, plan.current)
        task = self._tasks_of(experiment, plan, rows=rows or plan.log_stats)[number]
        chunks = Chunks(self._store, experiment.id, run_id, "draws") if plan.log_stats else None
        try:
            async with self._simulators.worker(background=background) as worker:
                yield SimulationRun(run_id, experiment, plan, RunningSimulation(task, world, worker), world, chunks)
        except BaseException:
            if chunks is not None:
                await self._store.simulations.drop_chunks(run_id)
            raise

    def _tasks_of(self, experiment: Experiment, plan: Plan, *, rows: bool = False) -> list[SimulationTask]:
        limits = self._limits
        return tasks_of(
            experiment.id, plan, call_seconds=limits.call_seconds, range_max=limits.theta_range_max, rows=rows
        )

    async def _thetas(self, run: SimulationRun, *, stored: bool = False) -> list[Entry]:
        """What the run has left, stored and committed where that is wanted."""
        thetas = await run.simulation.thetas()
        if run.chunks is not None:
            await run.chunks.flush()
        if stored or run.plan.log_stats:
            kept = Chunks(self._store, run.experiment.id, run.id, "theta")
            ours = [one for one in thetas if one.exp_id == run.experiment.id and one.name == "_theta"]
            await kept.add([{"key": one.key, "value": one.value, "theta": _content(one)} for one in ours])
            await kept.flush()
        if run.plan.commit:
            await self._commit(run, thetas)
        return thetas

    async def _commit(self, run: SimulationRun, thetas: list[Entry]) -> None:
        grouped: dict[str, list[StoredTheta]] = {run.experiment.id: []}
        for one in thetas:
            key = ThetaKey(one.exp_id, one.name, one.key, one.value)
            grouped.setdefault(one.exp_id, []).append(StoredTheta(key, 0, _content(one)))
        about = {"user": run.experiment.owner, "run": run.id, "n": run.plan.n, "seed": run.plan.seed}
        await self._store.simulations.commit(grouped, run.world.copied, about)
        for exp_id in grouped:
            await self._engine.invalidate(exp_id)

    def _require_possible(self, experiment: Experiment, plan: Plan) -> None:
        if self._closing:
            raise Overloaded()
        if not 1 <= plan.n <= MAX_DRAWS:
            raise InvalidParameter("N", f"expected a whole number from 1 to {MAX_DRAWS:,}")
        if not 1 <= plan.repeat <= MAX_REPEATS or plan.n * plan.repeat > _MAX_IN_ALL:
            raise InvalidParameter(
                "repeat", f"expected a whole number from 1 to {MAX_REPEATS:,}, and {_MAX_IN_ALL:,} draws in all"
            )
        if plan.repeat > 1 and (plan.commit or plan.log_stats):
            raise InvalidParameter("repeat", "commit and log_stats are about one run: leave repeat out with them")
        missing = missing_script(experiment)
        if missing is not None:
            raise InvalidParameter(missing, "this script is empty, and a simulation needs it", script=missing)


def _described(experiment: Experiment, plan: Plan, run_id: str) -> Document:
    return {
        "_id": run_id,
        "exp_id": experiment.id,
        "user": experiment.owner,
        "date": datetime.now(UTC),
        "revision": experiment.revision,
        "n": plan.n,
        "seed": plan.seed,
        "repeat": plan.repeat,
        "start": plan.start,
        "commit": plan.commit,
        "log_stats": plan.log_stats,
        "expected": [{"arm": arm, "reward": reward} for arm, reward in plan.expected.items()],
    }


def _expected(row: Document) -> dict[str, float]:
    return {one["arm"]: one["reward"] for one in row.get("expected", [])}


def _done(simulations: Mapping[int, Progress]) -> int:
    return done_in(simulations.values())


async def _summed(simulations: Mapping[int, Progress], expected: dict[str, float]) -> Document:
    """Arms, series and regret so far; in a thread, as there may be a hundred thousand points with fifty arms each."""
    results = results_of(one for _, one in sorted(simulations.items()))
    return await asyncio.to_thread(_in_columns, results, expected)


def _in_columns(results: list[RepetitionResult], expected: dict[str, float]) -> Document:
    """In a shape in which names that scripts made are values, never keys."""
    grown = series(results, expected)
    pulls = [{"arm": name, "counts": counts} for name, counts in grown.pop("pulls").items()]
    return {
        "arms": [{"arm": name, **row} for name, row in arms_table(results, expected).items()],
        "series": {**grown, "pulls": pulls},
        **spread_of("regret", regrets(results, expected).get(TOTAL), len(results)),
    }


def _failed(**error: Any) -> Document:
    return {"status": "failed", "error": error}


def _alive(row: Document, now: datetime) -> Document:
    """The run, as failed if its server has shown no sign of life for a while."""
    if row["status"] == "running" and now - row["alive"] > _DEAD_AFTER:
        return row | _failed(message="the server that ran it has ended")
    return row


def _content(entry: Entry) -> dict[str, Any]:
    return _decode(entry.theta or b"\x80")  # type: ignore[no-any-return]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
