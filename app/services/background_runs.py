"""Simulations in the background: a row that shows signs of life while its run is under way.

Where the signs of life end, the run's server has ended too, and the run counts as failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from datetime import timedelta
from typing import Any

from app.domain.experiment import Experiment
from app.domain.ids import new_id
from app.domain.rows import RunUpdate
from app.domain.simulation import Plan
from app.errors import Overloaded, StoreUnavailable, ThetaloopError
from app.services.simulation_records import Repetitions, described, done_draws, summed_up
from app.services.simulation_runs import SimulationRuns
from app.simulation.dask import Cluster
from app.simulation.repetitions import Progress, RepetitionProgress, run_side_by_side
from app.storage.store import Store

DEAD_AFTER = timedelta(seconds=10)
_MAX_RUNS = 200
_BEAT_SECONDS = 0.5
_SUMMED_BEATS = 10
_log = logging.getLogger("thetaloop")


class BackgroundRuns:
    """The runs in the background of this server, each in a task of its own."""

    def __init__(self, store: Store, runs: SimulationRuns, cluster: Cluster | None) -> None:
        self._store = store
        self._runs = runs
        self._cluster = cluster
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()  # only their rows are still to be updated
        self._repetitions: dict[str, dict[int, Progress]] = {}
        self._cancelled: set[str] = set()

    async def start(self, experiment: Experiment, plan: Plan) -> str:
        """Begin a run; its id. ``Overloaded`` if there are too many."""
        if len(self._tasks) >= _MAX_RUNS:
            raise Overloaded()
        run_id = new_id()
        await self._store.simulations.insert(described(experiment, plan, run_id))
        self._tasks[run_id] = asyncio.create_task(self._work(experiment, plan, run_id))
        self._tasks[run_id].add_done_callback(self._ending.discard)
        await asyncio.sleep(0)  # a task that is cancelled before it has begun could not say so
        return run_id

    def repetitions(self, run_id: str) -> Repetitions | None:
        """How far a run of this server is; None if it is not under way here."""
        return self._repetitions.get(run_id)

    async def cancel(self, run_id: str) -> bool:
        """Stop a run and wait until it has stopped; False if it is not under way here."""
        task = self._tasks.get(run_id)
        if task is None:
            return False
        self._cancelled.add(run_id)
        task.cancel()
        await asyncio.wait([task])
        return True

    async def close(self) -> None:
        """End every run and mark it as failed."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._ending, return_exceptions=True)

    async def _work(self, experiment: Experiment, plan: Plan, run_id: str) -> None:
        """A run from its beginning to the last update of its row."""
        repetitions = self._repetitions[run_id] = {}
        beat = asyncio.create_task(self._show_life(run_id, plan, repetitions))
        values: dict[str, Any]
        try:
            await self._repeat(experiment, plan, run_id, repetitions)
            values = {"status": "done", "logged": plan.log_stats}
        except asyncio.CancelledError:
            cancelled = run_id in self._cancelled
            values = {"status": "cancelled"} if cancelled else _failed(message="the server was stopped")
        except ThetaloopError as error:
            values = _failed(message=error.message, detail=error.detail)
        except Exception:
            _log.exception("a simulation failed")
            values = _failed(message="internal error; see the server log")
        self._ending.add(self._tasks.pop(run_id))
        del self._repetitions[run_id]
        self._cancelled.discard(run_id)
        await _ended(beat)
        try:
            results = await summed_up(repetitions, plan.expected)
            update = RunUpdate(done=done_draws(repetitions), results=results, **values)
            await self._store.simulations.update(run_id, update)
            if update.logged:
                await self._store.files.keep(run_id)
        except StoreUnavailable:
            _log.warning("the end of simulation %s could not be stored", run_id)

    async def _repeat(
        self,
        experiment: Experiment,
        plan: Plan,
        run_id: str,
        repetitions: dict[int, Progress],
    ) -> None:
        """All repetitions, as many at once as there are processes for; the first failure is the run's."""
        if plan.repeat > 1 and self._cluster is not None:
            parts = [RepetitionProgress() for _ in range(plan.repeat)]
            repetitions.update(enumerate(parts))
            tasks = self._runs.tasks(experiment, plan)
            if await self._cluster.repetitions(run_id, tasks, self._runs.world(experiment, plan), parts):
                return

        async def repetition(number: int) -> None:
            async with self._runs.opened(experiment, plan, run_id, number=number, background=True) as run:
                repetitions[number] = run.simulation
                async for _ in run.draws():
                    pass
                if plan.repeat == 1:
                    await self._runs.settle(run, stored=True)

        await run_side_by_side(plan.repeat, repetition)

    async def _show_life(self, run_id: str, plan: Plan, repetitions: Repetitions) -> None:
        """Show how far the run is, and see whether it was cancelled at another server."""
        for beat in itertools.count(1):
            await asyncio.sleep(_BEAT_SECONDS)
            results = await summed_up(repetitions, plan.expected) if beat % _SUMMED_BEATS == 0 else None
            with contextlib.suppress(StoreUnavailable):
                update = RunUpdate(done=done_draws(repetitions), results=results)
                if await self._store.simulations.update(run_id, update) and run_id in self._tasks:
                    self._cancelled.add(run_id)
                    self._tasks[run_id].cancel()


def _failed(**error: Any) -> dict[str, Any]:
    return {"status": "failed", "error": error}


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
