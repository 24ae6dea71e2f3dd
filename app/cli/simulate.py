"""``thetaloop simulate``: an experiment in a folder, or a ready-made one, without a server and without MongoDB.

The scripts run in the same confined processes, from the same seeds, as simulations of a server do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from app.analysis.summary import series
from app.cli import plot
from app.cli.arguments import between, called, picture
from app.cli.subject import Subject, find, read
from app.cli.table import table
from app.config import Config
from app.domain.ids import new_id
from app.domain.simulation import MAX_DRAWS, MAX_REPEATS, Plan, RepetitionResult, new_seed
from app.engine.limits import Limits
from app.errors import InvalidScript
from app.sandbox.host.channel import Worker
from app.sandbox.protocol import Checked, CheckScripts, decode_reply, encode
from app.server.assemble import cluster_of, running_simulators
from app.simulation.dask import Cluster
from app.simulation.recording import DrawFile
from app.simulation.repetitions import RepetitionProgress, done_in, results_of, run_side_by_side, tasks_of
from app.simulation.runner import RunningSimulation, SimulationTask, Simulators

_CHECK_SECONDS = 30.0
_BAR_SECONDS = 0.2


async def simulate(
    subject: Subject,
    plan: Plan,
    simulators: Simulators,
    limits: Limits,
    out: Path | None,
    picture: Path | None,
    cluster: Cluster | None = None,
) -> str:
    """Simulate with a progress bar, write the files that are wanted, and return the table of arms.

    Repetitions are made by the ``cluster``, if there is one, unless every draw is to be written.
    """
    if picture is not None:
        plot.require()
    async with simulators.worker() as worker:
        for scripts in (subject.scripts, *subject.others.values()):
            await _require_sound(scripts, worker)
    calls, range_max = limits.call_seconds, limits.theta_range_max
    tasks = tasks_of(subject.name, plan, call_seconds=calls, range_max=range_max, rows=out is not None)
    with tqdm(total=plan.n * plan.repeat, unit=" draws", disable=None, leave=False) as bar:
        results = await _on_cluster(subject, tasks, cluster, bar) if cluster and len(tasks) > 1 and not out else None
        results = results or await _here(subject, tasks, simulators, out, bar)
    if picture is not None:
        plot.draw(series(results, subject.expected), picture, f"{subject.name}, seed {plan.seed}")
    return table(results, subject.expected, plan)


async def _require_sound(scripts: dict[str, str], worker: Worker) -> None:
    answer = decode_reply(await worker.request(encode(CheckScripts(scripts, lint=False)), _CHECK_SECONDS))
    if isinstance(answer, Checked) and answer.faults:
        raise InvalidScript([msgspec.to_builtins(fault) for fault in answer.faults])


async def _here(
    subject: Subject, tasks: Sequence[SimulationTask], simulators: Simulators, out: Path | None, bar: Any
) -> list[RepetitionResult]:
    """Run all repetitions on this machine, as many at once as it has processors."""
    file = None if out is None else DrawFile(out, len(tasks))

    async def repetition(number: int) -> RunningSimulation:
        async with simulators.worker() as worker:
            simulation, done = RunningSimulation(tasks[number], subject, worker), 0
            with nullcontext() if file is None else file.part(number) as part:
                async for draws in simulation.draws():
                    if part is not None:
                        part.write(draws)
                    bar.update(simulation.done - done)
                    done = simulation.done
        return simulation

    # No more at once than there are places: those that wait for one are counted, and refused beyond a number.
    simulations = await run_side_by_side(len(tasks), repetition, simulators.places)
    if file is not None:
        file.join()
    return results_of(simulations)


async def _on_cluster(
    subject: Subject, tasks: Sequence[SimulationTask], cluster: Cluster, bar: Any
) -> list[RepetitionResult] | None:
    """Run all repetitions on the cluster; None if the experiment is too large to be sent there."""
    parts = [RepetitionProgress() for _ in tasks]
    work = asyncio.create_task(cluster.repetitions(new_id(), tasks, subject, parts))
    try:
        while not work.done():
            await asyncio.wait([work], timeout=_BAR_SECONDS)
            bar.update(done_in(parts) - bar.n)
    finally:
        work.cancel()
    return results_of(parts) if await work else None


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    summary = "simulate an experiment, without a server"
    sub = commands.add_parser("simulate", help=summary, description=summary, parents=[common])
    sub.add_argument("subject", metavar="FOLDER|DEFAULT", help="a folder with scripts, or a ready-made experiment")
    sub.add_argument("--n", type=between(1, MAX_DRAWS), default=1_000, help="draws (default: 1000)")
    sub.add_argument("--seed", type=int, metavar="S", help="the same seed gives the same run (default: drawn)")
    sub.add_argument("--repeat", type=between(1, MAX_REPEATS), default=1, metavar="R", help="repetitions")
    sub.add_argument("--out", type=Path, metavar="FILE.jsonl", help="write every draw")
    sub.add_argument(
        "--with",
        type=called,
        action="append",
        default=[],
        dest="others",
        metavar="ID=FOLDER|DEFAULT",
        help="what Experiment(ID) is in the scripts; ready-made experiments are found by their names",
    )
    sub.add_argument("--plot", type=picture, metavar="FILE.png|svg", help="draw reward, arms and regret")
    sub.set_defaults(command=_run)


async def _run(config: Config, options: argparse.Namespace) -> None:
    subject = read(find(options.subject), dict(options.others))
    plan = Plan(options.n, new_seed() if options.seed is None else options.seed, options.repeat)
    async with running_simulators(config, min(options.repeat, os.cpu_count() or 1)) as (simulators, limits):
        files, cluster = (options.out, options.plot), cluster_of(config)
        print(await simulate(subject, plan, simulators, limits, *files, cluster))
