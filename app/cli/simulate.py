"""``thetaloop simulate``: an experiment in a folder, or a ready-made one, without a server and without MongoDB.

The scripts run in the same confined processes, from the same seeds, as simulations of a server do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import yaml
from tqdm import tqdm

from app.analysis.summary import INTERVAL, TOTAL, Result, arms_table, regrets, series
from app.cli import plot
from app.cli.arguments import between, called, picture
from app.config import Config
from app.domain.experiment import SCRIPTS, ExperimentSpec
from app.domain.ids import new_id
from app.domain.simulation import MAX_DRAWS, MAX_REPEATS, Plan, missing_script, new_seed, rewards_by_arm, truth_of
from app.engine.limits import Limits
from app.errors import ConfigurationError, InvalidParameter, InvalidScript, NotFound
from app.sandbox.host.channel import Worker
from app.sandbox.protocol import Checked, CheckScripts, decode_reply, encode
from app.server.assemble import cluster_of, running_simulators
from app.services.catalogue import Catalogue
from app.simulation.dask import Cluster, RepetitionProgress
from app.simulation.runner import RunningSimulation, SimulatedExperiment, SimulationTask, Simulators

_CHECK_SECONDS = 30.0
_BAR_SECONDS = 0.2
_COLUMNS = ("context", "action", "reward", "theta")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Subject:
    """What is simulated: scripts under a name, and the expected reward of each arm where it is known.

    ``others`` are the scripts of experiments that these may call, by the id that they call them by.
    """

    name: str
    scripts: dict[str, str]
    expected: dict[str, float]
    others: dict[str, dict[str, str]] = field(default_factory=dict)

    async def find(self, exp_id: str) -> SimulatedExperiment | None:
        """The world of the simulation: this experiment, the others, and the ready-made ones by their names."""
        if exp_id == self.name:
            return SimulatedExperiment(self.scripts)
        if exp_id in self.others:
            return SimulatedExperiment(self.others[exp_id])
        with contextlib.suppress(NotFound):
            return SimulatedExperiment(Catalogue().named(exp_id).scripts)
        return None


def find(subject: str) -> Path:
    """The folder of that path, or of the ready-made experiment of that name."""
    folder = Path(subject)
    return folder if folder.is_dir() else Catalogue().named(subject).folder


def read(folder: Path, others: Mapping[str, str] | None = None) -> Subject:
    """The experiment in a folder; what its ``experiment.yml`` says about rewards is used if there is one.

    ``others`` are folders or names of those that its scripts call, by id.
    """
    scripts = _scripts(folder)
    missing = missing_script(ExperimentSpec(folder.name, **cast(dict[str, Any], scripts)))
    if missing:
        raise InvalidParameter(str(folder / f"{missing}.py"), "this script is empty, and a simulation needs it")
    called = {exp_id: _scripts(find(other)) for exp_id, other in (others or {}).items()}
    return Subject(folder.resolve().name, scripts, _expected(folder / "experiment.yml"), called)


def _scripts(folder: Path) -> dict[str, str]:
    scripts: dict[str, str] = {}
    for name in SCRIPTS:
        path = folder / f"{name}.py"
        try:
            scripts[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} cannot be read: {getattr(error, 'strerror', 'not UTF-8')}") from error
    return scripts


def _expected(path: Path) -> dict[str, float]:
    """The expected reward by arm, where it is one number for each of a list of arms."""
    if not path.is_file():
        return {}
    try:
        about = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    truth = truth_of(about)
    if not truth and rewards_by_arm(about):
        raise ConfigurationError(f"{path}: arms and expected_reward do not name the same arms")
    return truth


async def simulate(
    subject: Subject,
    plan: Plan,
    simulators: Simulators,
    limits: Limits,
    out: Path | None,
    picture: Path | None,
    cluster: Cluster | None = None,
) -> str:
    """Simulate with a progress bar, write what is wanted, and give the table of arms.

    Repetitions are made by the ``cluster``, if there is one, unless every draw is to be written.
    """
    if picture is not None:
        plot.require()
    async with simulators.worker() as worker:
        for scripts in (subject.scripts, *subject.others.values()):
            await _require_sound(scripts, worker)
    with tqdm(total=plan.n * plan.repeat, unit=" draws", disable=None, leave=False) as bar:
        command = _Command(subject, plan, simulators, limits, out)
        results = await _over_cluster(command, cluster, bar) if cluster and plan.repeat > 1 and out is None else None
        results = results or await _repetitions(command, bar)
    if out is not None:
        _join(out, plan.repeat)
    if picture is not None:
        plot.draw(series(results, subject.expected), picture, f"{subject.name}, seed {plan.seed}")
    return table(results, subject.expected, plan)


async def _require_sound(scripts: dict[str, str], worker: Worker) -> None:
    answer = decode_reply(await worker.request(encode(CheckScripts(scripts, lint=False)), _CHECK_SECONDS))
    if isinstance(answer, Checked) and answer.faults:
        raise InvalidScript([msgspec.to_builtins(fault) for fault in answer.faults])


@dataclass(frozen=True)
class _Command:
    subject: Subject
    plan: Plan
    simulators: Simulators
    limits: Limits
    out: Path | None


async def _repetitions(command: _Command, bar: Any) -> list[Result]:
    """All of them, as many at once as there are processors."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_repetition(command, number, bar)) for number in range(command.plan.repeat)]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _over_cluster(command: _Command, cluster: Cluster, bar: Any) -> list[Result] | None:
    """The same by a Dask cluster; None if it is not for that."""
    plan = command.plan
    parts = [RepetitionProgress() for _ in range(plan.repeat)]
    tasks = [_task(command, number) for number in range(plan.repeat)]
    work = asyncio.create_task(cluster.repetitions(new_id(), tasks, command.subject, parts))
    try:
        while not work.done():
            await asyncio.wait([work], timeout=_BAR_SECONDS)
            bar.update(sum(part.done for part in parts) - bar.n)
    finally:
        work.cancel()
    return [Result(part.arms, part.points) for part in parts] if await work else None


def _task(command: _Command, number: int) -> SimulationTask:
    plan, limits = command.plan, command.limits
    return SimulationTask(
        exp_id=command.subject.name,
        n=plan.n,
        seed=plan.seed_of(number),
        rows=command.out is not None,
        call_seconds=limits.call_seconds,
        range_max=limits.theta_range_max,
        points=plan.points,
    )


async def _repetition(command: _Command, number: int, bar: Any) -> Result:
    async with command.simulators.worker() as worker:
        simulation = RunningSimulation(_task(command, number), command.subject, worker)
        with _opened(command.out, number) as file:
            done = 0
            async for rows in simulation.draws():
                for draw, row in enumerate(rows, done):
                    shown = dict(zip(_COLUMNS, row, strict=True))
                    file.write(_encode({"repetition": number, "draw": draw, **shown}) + b"\n")
                bar.update(simulation.done - done)
                done = simulation.done
    return Result(simulation.arms, simulation.points)


# Files --------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(out: Path | None, number: int) -> Iterator[BinaryIO]:
    """A file of this repetition's own; all are joined once the last one is done."""
    path = Path(os.devnull) if out is None else _part(out, number)
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise ConfigurationError(f"--out: {path} cannot be written: {error.strerror}") from error
    except BaseException:
        if out is not None:
            path.unlink(missing_ok=True)
        raise


def _join(out: Path, repeat: int) -> None:
    with out.open("wb") as whole:
        for number in range(repeat):
            with _part(out, number).open("rb") as part:
                shutil.copyfileobj(part, whole)
            _part(out, number).unlink()


def _part(out: Path, number: int) -> Path:
    return out.with_name(f"{out.name}.{number}.part")


# The table ----------------------------------------------------------------------------------------------------------


def table(results: list[Result], expected: Mapping[str, float], plan: Plan) -> str:
    """Arms with their pulls per repetition, their mean reward and, where it is known, the regret that they cost."""
    lost = regrets(results, expected)
    lines = [["arm", "pulls", "share", "mean reward", *(["regret"] if lost else [])]]
    for name, row in arms_table(results).items():
        cells = [name, f"{row['pulls'] / plan.repeat:,.10g}", f"{row['share']:.1%}", _reward(row)]
        lines.append(cells + ([_spread(*lost[name])] if lost else []))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in lines)
    times = f", {plan.repeat} repetitions" if plan.repeat > 1 else ""
    total = f"\nregret after {plan.n:,} draws: {_spread(*lost[TOTAL])}" if lost else ""
    if expected and not lost:
        unknown = next(name for name in arms_table(results) if name not in expected)
        total = f"\nno regret, as no expected_reward is given for the arm {unknown}"
    return f"{plan.n:,} draws, seed {plan.seed}{times}\n\n{text}\n{total}".rstrip()


def _aligned(cells: list[str], widths: list[int]) -> list[str]:
    """Names to the left, numbers to the right."""
    first, *rest = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def _reward(row: Mapping[str, Any]) -> str:
    return "-" if row["mean_reward"] is None else _spread(row["mean_reward"], INTERVAL * row.get("standard_error", 0))


def _spread(mean: float, half: float) -> str:
    return f"{mean:.4g}" + (f" ± {half:.2g}" if half else "")


# The command --------------------------------------------------------------------------------------------------------


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
