"""Simulations as their owners run them: at once, while they wait, or in the background.

Every run has a task of its own, so that it ends when its caller goes away, when somebody cancels it, or with the
server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.domain.experiment import Experiment
from app.domain.ids import new_id
from app.domain.rows import StoredRun
from app.domain.simulation import Plan
from app.engine.api import EngineAPI
from app.engine.limits import Limits
from app.errors import NotFound, Overloaded
from app.services.background_runs import DEAD_AFTER, BackgroundRuns
from app.services.simulation_records import described, done_draws, read_draws, summed_up
from app.services.simulation_runs import SimulationRun, SimulationRuns, require_possible
from app.simulation.dask import Cluster
from app.simulation.runner import Simulators, shown_theta
from app.storage.store import Store

_LISTED = 200


class SimulationService:
    """Every call is about an experiment that the caller has been found to own."""

    def __init__(
        self, store: Store, engine: EngineAPI, simulators: Simulators, limits: Limits, cluster: Cluster | None = None
    ) -> None:
        self._store = store
        self._runs = SimulationRuns(store, engine, simulators, limits)
        self._background = BackgroundRuns(store, self._runs, cluster)
        self._waited_for: set[asyncio.Task[Any]] = set()
        self._closing = False

    async def close(self) -> None:
        """End every run; whoever waits for one is told, and those in the background are marked as failed."""
        self._closing = True
        tasks = self._waited_for - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(self._background.close(), *tasks, return_exceptions=True)

    @asynccontextmanager
    async def opened(self, experiment: Experiment, plan: Plan, *, rows: bool) -> AsyncIterator[SimulationRun]:
        """A run for a caller who waits; it is over when this is left. ``close`` cancels the task it is opened in.

        Raises ``InvalidParameter`` if the plan cannot be, ``Overloaded`` if too many wait or the server ends.
        """
        self._require_open(experiment, plan)
        task = asyncio.current_task()
        assert task is not None
        self._waited_for.add(task)
        try:
            async with self._runs.opened(experiment, plan, new_id(), rows=rows) as run:
                yield run
        finally:
            self._waited_for.discard(task)

    async def finish(self, run: SimulationRun) -> dict[str, Any]:
        """The theta that the run has left; it is committed and the run is stored, if that is wanted."""
        thetas = await self._runs.settle(run)
        if run.plan.log_stats:
            results = await summed_up({0: run.simulation}, run.plan.expected)
            begun = described(run.experiment, run.plan, run.id)
            done = replace(begun, status="done", done=run.plan.n, logged=True, results=results)
            await self._store.simulations.insert(done)
            await self._store.files.keep(run.id)
        return shown_theta(thetas, run.experiment.id)

    async def start(self, experiment: Experiment, plan: Plan) -> str:
        """Begin a run in the background; its id. Raises what ``opened`` raises."""
        self._require_open(experiment, plan)
        return await self._background.start(experiment, plan)

    async def all(self, exp_id: str) -> list[StoredRun]:
        """The newest runs, without their series."""
        now = await self._store.leases.now()
        return [_alive(run, now) for run in await self._store.simulations.of(exp_id, _LISTED)]

    async def find(self, exp_id: str, run_id: str) -> StoredRun:
        """One run with its series, of one under way as far as it is, and, where it was not repeated, its theta."""
        run = await self._store.simulations.find(exp_id, run_id)
        if run is None:
            raise NotFound(f"this experiment has no simulation {run_id!r}")
        if run.status == "done" and run.repeat == 1:
            run = replace(run, theta=await self.theta_of(run))
        repetitions = self._background.repetitions(run_id)
        if run.status == "running" and repetitions is not None:
            results = await summed_up(repetitions, run.expected)
            run = replace(run, done=done_draws(repetitions), results=results)
        return _alive(run, await self._store.leases.now())

    async def cancel(self, exp_id: str, run_id: str) -> StoredRun:
        """Stop a run, here or on another server; one that has ended stays as it is."""
        run = await self.find(exp_id, run_id)
        if not await self._background.cancel(run_id) and run.status == "running":
            await self._store.simulations.cancel(run_id)
        return await self.find(exp_id, run_id)

    async def logged(self, run: StoredRun) -> AsyncIterator[dict[str, Any]]:
        """The draws of a run that was stored with them: context, action, reward and theta of each."""
        async for draw in read_draws(self._store, run.id):
            yield draw

    async def theta_of(self, run: StoredRun) -> dict[str, Any]:
        """The theta that a stored run has left."""
        return await self._store.simulations.theta(run.exp_id, run.id)

    def _require_open(self, experiment: Experiment, plan: Plan) -> None:
        if self._closing:
            raise Overloaded()
        require_possible(experiment, plan)


def _alive(run: StoredRun, now: datetime) -> StoredRun:
    """The run, as failed if its server has shown no sign of life for a while."""
    if run.status == "running" and run.alive is not None and now - run.alive > DEAD_AFTER:
        return replace(run, status="failed", error={"message": "the server that ran it has ended"})
    return run
