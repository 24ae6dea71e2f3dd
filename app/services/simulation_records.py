"""What is kept of a simulation run: the row that describes it, what it came to, and a file of its draws."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from app.analysis.summary import TOTAL, arms_table, regrets, series, spread_of
from app.domain.experiment import Experiment
from app.domain.files import FileSpec, StoredFile
from app.domain.rows import RunResults, StoredRun
from app.domain.simulation import Plan, RepetitionResult
from app.simulation.recording import named
from app.simulation.repetitions import Progress, done_in, results_of
from app.storage.files import FileWriter
from app.storage.store import Store

_CHUNK_ROWS = 2_000
_CHUNK_BYTES = 4 * 2**20
JSON_LINES = "application/x-ndjson; charset=UTF-8"
_UNCLAIMED = timedelta(days=1)
_json = msgspec.json.Encoder().encode
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
    """Writes the draws of a run into a file while they are made: JSON lines, under the id of the run."""

    def __init__(self, store: Store, experiment: Experiment, run_id: str) -> None:
        self._files = store.files
        # Whoever stores the run's row keeps the file; without a row it goes.
        expires = datetime.now(UTC) + _UNCLAIMED
        self._spec = FileSpec(
            run_id, experiment.owner, experiment.id, f"simulation-{run_id}.jsonl", JSON_LINES, expires
        )
        self._writer: FileWriter | None = None
        self._complete = False

    async def add(self, rows: list[list[dict[str, Any]]]) -> None:
        """Take some more draws: context, action, reward and theta of each."""
        if self._writer is None:
            self._writer = await self._files.create(self._spec)
        await self._writer.write(b"".join(_json(named(row)) + b"\n" for row in rows))

    async def complete(self) -> None:
        """Let readers see the file."""
        if self._writer is not None:
            await self._writer.complete()
            self._complete = True

    async def drop(self) -> None:
        """Delete the file, as the run came to nothing."""
        if self._complete:
            await self._files.remove(self._spec.id)
        elif self._writer is not None:
            await self._writer.abort()


async def read_draws(store: Store, run_id: str) -> AsyncIterator[dict[str, Any]]:
    """The draws of a run that was stored with them, in order."""
    file = await store.files.find(run_id)
    if not isinstance(file, StoredFile):
        return
    rest = b""
    async for piece in store.files.read(file.id, 0, file.size):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield msgspec.json.decode(line)
