"""Repetitions of a simulation over a Dask cluster, from the same seeds and so with the same results as on one machine.

Scripts never run in a Dask process: each Dask worker starts a zygote of its own, as the server does, and its tasks have
the draws made by confined processes of that. What a task needs goes to it, and what came of it comes back, as
MessagePack, which unlike pickles cannot run code when it is read. A Dask worker that dies costs time only: the
scheduler gives its tasks to another, which makes the same draws.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import importlib.util
import platform
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
import numpy as np

from app.domain.simulation import ArmTotals, SeriesPoint
from app.errors import ClusterUnavailable, ConfigurationError, DrawFailed, SandboxUnavailable
from app.sandbox.host.interpreter import SAME_BYTES
from app.sandbox.host.zygote_client import Zygote
from app.sandbox.protocol import encode
from app.simulation.repetitions import RepetitionProgress
from app.simulation.runner import ExperimentSource, RunningSimulation, SimulatedExperiment, SimulationTask, Simulators

_TOPIC = "thetaloop"
_CONNECT_SECONDS = 10
_CLOSE_SECONDS = 2
_REPORT_SECONDS = 0.5
# The scheduler handles a task's description in one piece; larger worlds are simulated where they are.
_MAX_BYTES = 8 * 2**20
_AT_ONCE = 1_000


class _Job(msgspec.Struct):
    """The input of a Dask task: a repetition, and all experiments that it may call (None: there is none)."""

    run: str
    number: int
    versions: str
    memory_mb: int
    task: SimulationTask
    members: dict[str, SimulatedExperiment | None]


class _Outcome(msgspec.Struct):
    """Its output: what came of the repetition, or why it failed, or the id of an experiment that is missing."""

    arms: list[ArmTotals] = []
    points: list[SeriesPoint] = []
    failed: tuple[int, str | None, str, int | None, str | None] | None = None
    unavailable: str = ""
    missing: str = ""


_decode_job = msgspec.msgpack.Decoder(_Job).decode
_decode_outcome = msgspec.msgpack.Decoder(_Outcome).decode


class Cluster:
    """The cluster of the scheduler at ``address``; its workers have ``memory_mb`` for each process with scripts."""

    def __init__(self, address: str, memory_mb: int) -> None:
        if importlib.util.find_spec("distributed") is None:
            raise ConfigurationError("simulation.dask_scheduler needs Dask: pip install 'thetaloop[dask]'")
        self._address = address
        self._memory_mb = memory_mb

    async def repetitions(
        self, run: str, tasks: Sequence[SimulationTask], world: ExperimentSource, parts: Sequence[RepetitionProgress]
    ) -> bool:
        """Run each task, and put what comes of it into the part of the same number; the first failure is raised.

        Returns False, with nothing done, if what the repetitions start from is too much to be sent to each worker.
        """
        members = {tasks[0].exp_id: await world.find(tasks[0].exp_id)}
        if len(encode(members)) > _MAX_BYTES:
            return False
        # Here, and not on the loop: this import takes a second, and most servers never need it.
        distributed: Any = await asyncio.to_thread(importlib.import_module, "distributed")
        try:
            client = await distributed.Client(
                self._address, asynchronous=True, set_as_default=False, timeout=_CONNECT_SECONDS, name="thetaloop"
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise self._unavailable("no Dask scheduler answers") from error

        def progress(event: tuple[float, Any]) -> None:
            reported_run, number, done = event[1]
            if reported_run == run:
                parts[number].done = done

        async def one(number: int) -> None:
            made = _Outcome(missing=tasks[number].exp_id)
            while made.missing:
                if made.missing not in members:
                    members[made.missing] = await world.find(made.missing)
                job = _Job(run, number, _versions(), self._memory_mb, tasks[number], members)
                key = f"{_TOPIC}-{run}-{number}-{len(members)}"
                made = _decode_outcome(await client.submit(repetition, encode(job), key=key, pure=False))
            if made.failed is not None:
                raise DrawFailed(*made.failed)
            if made.unavailable:
                raise self._unavailable(made.unavailable)
            parts[number].done, parts[number].arms, parts[number].points = tasks[number].n, made.arms, made.points

        try:
            client.subscribe_topic(_TOPIC, progress)
            async with asyncio.TaskGroup() as group:
                for number in range(len(tasks)):
                    group.create_task(self._guarded(one(number), distributed))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            # Leaving releases what was submitted; the workers see that and stop.
            await asyncio.shield(client.close(timeout=_CLOSE_SECONDS))
        return True

    async def _guarded(self, work: Coroutine[Any, Any, None], distributed: Any) -> None:
        """Turn failures of the cluster itself into ``ClusterUnavailable``."""
        try:
            await work
        except (concurrent.futures.CancelledError, OSError, TimeoutError) as error:
            raise self._unavailable("the Dask scheduler went away") from error
        except distributed.KilledWorker as error:
            raise self._unavailable("the Dask workers died again and again") from error

    def _unavailable(self, reason: str) -> ClusterUnavailable:
        return ClusterUnavailable(self._address, reason)


# In a Dask worker ---------------------------------------------------------------------------------------------------


def repetition(payload: bytes) -> bytes:
    """Make the draws of one repetition: the Dask task. Refused where the versions are not those of the server."""
    from distributed import get_worker

    worker: Any = get_worker()
    key = worker.get_current_task()
    job = _decode_job(payload)
    if job.versions != _versions():
        return encode(_Outcome(unavailable=f"a Dask worker has {_versions()}, and the server {job.versions}"))

    def is_wanted() -> bool:
        state = worker.state.tasks.get(key)
        return state is not None and state.state != "cancelled"

    def report(done: int) -> None:
        worker.log_event(_TOPIC, [job.run, job.number, done])

    made = _thread_of(job.memory_mb).run(lambda simulators: _run_job(job, simulators, is_wanted, report))
    return encode(made)


async def _run_job(
    job: _Job, simulators: Simulators, is_wanted: Callable[[], bool], report: Callable[[int], None]
) -> _Outcome:
    missing: list[str] = []
    reported = time.monotonic()
    try:
        async with simulators.worker() as worker:
            simulation = RunningSimulation(job.task, ShippedExperiments(job.members, missing), worker)
            async for _ in simulation.draws():
                if missing or not is_wanted():
                    return _Outcome(missing=missing[0] if missing else "")
                if time.monotonic() - reported > _REPORT_SECONDS:
                    reported = time.monotonic()
                    report(simulation.done)
    except DrawFailed as error:
        detail = error.detail
        return _Outcome(failed=(detail["draw"], detail["script"], detail["message"], detail["line"], detail["source"]))
    except SandboxUnavailable as error:
        return _Outcome(unavailable=f"on a Dask worker, {error.message}")
    return _Outcome(simulation.arms, simulation.points)


class ShippedExperiments:
    """The experiments that came with the job. One that did not is noted as missing, and the task is sent again."""

    def __init__(self, members: dict[str, SimulatedExperiment | None], missing: list[str]) -> None:
        self._members = members
        self._missing = missing

    async def find(self, exp_id: str) -> SimulatedExperiment | None:
        if exp_id not in self._members:
            self._missing.append(exp_id)
        return self._members.get(exp_id)


class _SimulationThread:
    """A thread with an event loop and a zygote. Both are shared by all tasks and end with the process."""

    def __init__(self, memory_mb: int) -> None:
        self._simulators = Simulators(Zygote(memory_mb, interpreter=SAME_BYTES), _AT_ONCE)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="thetaloop", daemon=True).start()

    def run(self, work: Callable[[Simulators], Coroutine[Any, Any, _Outcome]]) -> _Outcome:
        """Run the coroutine there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work(self._simulators), self._loop).result()


_threads: dict[int, _SimulationThread] = {}
_threads_lock = threading.Lock()


def _thread_of(memory_mb: int) -> _SimulationThread:
    with _threads_lock:
        if memory_mb not in _threads:
            _threads[memory_mb] = _SimulationThread(memory_mb)
        return _threads[memory_mb]


def _versions() -> str:
    """Return what must be equal on two machines for simulations to give the same bytes."""
    return f"Python {platform.python_version()} and numpy {np.__version__} on {platform.machine()}"
