"""What is kept of a simulation run: the row that describes it, what it came to, and its draws piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar

from app.analysis.summary import TOTAL, arms_table, regrets, series, spread_of
from app.domain.experiment import Experiment
from app.domain.rows import RunResults, StoredRun
from app.domain.simulation import Plan, RepetitionResult
from app.sandbox.protocol import encode
from app.simulation.recording import named
from app.simulation.repetitions import Progress, done_in, results_of
from app.storage.store import Store

_CHUNK_ROWS = 2_000
_CHUNK_BYTES = 4 * 2**20
T = TypeVar("T")

# The repetitions of a run by number; those that have not begun are missing.
Repetitions = Mapping[int, Progress]


def described(experiment: Experiment, plan: Plan, run_id: str) -> StoredRun:
    """The row of a run that has just begun."""
    return StoredRun(
        id=run_id,
        exp_id=experiment.id,
        user=experiment.owner,
        date=datetime.now(UTC),
        revision=experiment.revision,
        n=plan.n,
        seed=plan.seed,
        repeat=plan.repeat,
        start=plan.start,
        commit=plan.commit,
        log_stats=plan.log_stats,
        expected=plan.expected,
        status="running",
        done=0,
    )


def done_draws(repetitions: Repetitions) -> int:
    """How many draws were made, in all repetitions together."""
    return done_in(repetitions.values())


async def summed_up(repetitions: Repetitions, expected: dict[str, float]) -> RunResults:
    """Arms, series and regret so far."""
    results = results_of(one for _, one in sorted(repetitions.items()))
    # In a thread, as there may be a hundred thousand points with fifty arms each.
    return await asyncio.to_thread(_summed, results, expected)


def _summed(results: list[RepetitionResult], expected: dict[str, float]) -> RunResults:
    regret = spread_of("regret", regrets(results, expected).get(TOTAL), len(results))
    return RunResults(arms=arms_table(results, expected), series=series(results, expected), **regret)


class ChunkWriter(Generic[T]):
    """Gathers rows and gives them to ``store(number of the first, rows)``, less at a time than a document may hold."""

    def __init__(self, store: Callable[[int, list[T]], Awaitable[None]]) -> None:
        self._store = store
        self._stored = 0
        self._size = 0
        self._rows: list[T] = []

    async def add(self, row: T, size: int) -> None:
        """Take one more row, of about ``size`` bytes."""
        self._rows.append(row)
        self._size += size
        if self._size > _CHUNK_BYTES or len(self._rows) >= _CHUNK_ROWS:
            await self.flush()

    async def flush(self) -> None:
        """Store what has gathered."""
        if self._rows:
            await self._store(self._stored, self._rows)
            self._stored += len(self._rows)
            self._size, self._rows = 0, []


class DrawRecorder:
    """Stores the draws of a run while they are made."""

    def __init__(self, store: Store, exp_id: str, run_id: str) -> None:
        self._simulations = store.simulations
        self._run_id = run_id
        self._chunks = ChunkWriter(partial(store.simulations.add_draws, exp_id, run_id))

    async def add(self, rows: list[list[dict[str, Any]]]) -> None:
        """Take some more draws: context, action, reward and theta of each."""
        for row in rows:
            await self._chunks.add(named(row), len(encode(row)))

    async def flush(self) -> None:
        """Store what has gathered."""
        await self._chunks.flush()

    async def drop(self) -> None:
        """Delete what was stored, as the run came to nothing."""
        await self._simulations.drop_chunks(self._run_id)
