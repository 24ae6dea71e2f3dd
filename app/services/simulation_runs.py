"""Single runs of simulations: a worker for each, what they store, and what becomes of the theta that they leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from app.domain.experiment import Experiment
from app.domain.simulation import MAX_DRAWS, MAX_REPEATS, Plan, missing_script
from app.domain.theta import ThetaKey
from app.engine.api import EngineAPI
from app.engine.limits import Limits
from app.errors import InvalidParameter
from app.sandbox.protocol import Entry
from app.services.simulated_world import OwnerExperiments
from app.services.simulation_records import ChunkWriter, DrawRecorder
from app.simulation.repetitions import tasks_of
from app.simulation.runner import RunningSimulation, SimulationTask, Simulators
from app.storage.simulations import ThetaOrigin
from app.storage.store import Store
from app.storage.thetas import StoredTheta

_MAX_IN_ALL = 100_000_000
_decode = msgspec.msgpack.Decoder().decode


@dataclass
class SimulationRun:
    """One simulation on its way: read its ``draws``, then ask the service to ``finish`` it."""

    id: str
    experiment: Experiment
    plan: Plan
    simulation: RunningSimulation
    world: OwnerExperiments
    recorder: DrawRecorder | None

    async def draws(self) -> AsyncIterator[list[list[dict[str, Any]]]]:
        """Make the draws, some at a time: context, action, reward and theta of each, if they are wanted."""
        async for rows in self.simulation.draws():
            if self.recorder is not None:
                await self.recorder.add(rows)
            yield rows


class SimulationRuns:
    """Opens runs and settles what they have left."""

    def __init__(self, store: Store, engine: EngineAPI, simulators: Simulators, limits: Limits) -> None:
        self._store = store
        self._engine = engine
        self._simulators = simulators
        self._limits = limits

    @asynccontextmanager
    async def opened(
        self,
        experiment: Experiment,
        plan: Plan,
        run_id: str,
        *,
        number: int = 0,
        rows: bool = False,
        background: bool = False,
    ) -> AsyncIterator[SimulationRun]:
        """One run with a worker of its own, the repetition ``number`` of the plan; with ``rows`` it shows its draws.

        What it has stored is deleted again if this is left by an exception.
        """
        world = self.world(experiment, plan)
        task = self.tasks(experiment, plan, rows=rows or plan.log_stats)[number]
        recorder = DrawRecorder(self._store, experiment, run_id) if plan.log_stats else None
        try:
            async with self._simulators.worker(background=background) as worker:
                simulation = RunningSimulation(task, world, worker)
                yield SimulationRun(run_id, experiment, plan, simulation, world, recorder)
        except BaseException:
            if recorder is not None:
                await recorder.drop()
            raise

    def world(self, experiment: Experiment, plan: Plan) -> OwnerExperiments:
        """Where the plan's simulation finds experiments."""
        return OwnerExperiments(self._store, experiment.owner, plan.current)

    def tasks(self, experiment: Experiment, plan: Plan, *, rows: bool = False) -> list[SimulationTask]:
        """What each repetition of the plan has to do."""
        limits = self._limits
        return tasks_of(
            experiment.id, plan, call_seconds=limits.call_seconds, range_max=limits.theta_range_max, rows=rows
        )

    async def settle(self, run: SimulationRun, *, stored: bool = False) -> list[Entry]:
        """The thetas that a run has left, stored (also if ``stored``) and committed where its plan wants that.

        Raises ``CannotCommit`` if the experiment has moved on meanwhile.
        """
        thetas = await run.simulation.thetas()
        if run.recorder is not None:
            await run.recorder.complete()
        if stored or run.plan.log_stats:
            await self._store_thetas(run, thetas)
        if run.plan.commit:
            await self._commit(run, thetas)
        return thetas

    async def _store_thetas(self, run: SimulationRun, thetas: list[Entry]) -> None:
        chunks = ChunkWriter(partial(self._store.simulations.add_thetas, run.experiment.id, run.id))
        for one in thetas:
            if (one.exp_id, one.name) == (run.experiment.id, "_theta"):
                await chunks.add((_key(one), _content(one)), len(one.theta or b""))
        await chunks.flush()

    async def _commit(self, run: SimulationRun, thetas: list[Entry]) -> None:
        grouped: dict[str, list[StoredTheta]] = {run.experiment.id: []}
        for one in thetas:
            grouped.setdefault(one.exp_id, []).append(StoredTheta(_key(one), 0, _content(one)))
        origin = ThetaOrigin(run.experiment.owner, run.id, run.plan.n, run.plan.seed)
        await self._store.simulations.commit(grouped, run.world.copied, origin)
        for exp_id in grouped:
            await self._engine.invalidate(exp_id)


def require_possible(experiment: Experiment, plan: Plan) -> None:
    """``InvalidParameter`` if the plan is too large, contradicts itself or lacks a script."""
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


def _key(entry: Entry) -> ThetaKey:
    return ThetaKey(entry.exp_id, entry.name, entry.key, entry.value)


def _content(entry: Entry) -> dict[str, Any]:
    return _decode(entry.theta or b"\x80")  # type: ignore[no-any-return]
