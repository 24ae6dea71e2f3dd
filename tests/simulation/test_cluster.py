"""Repetitions over a Dask cluster of real processes: the same results, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.servers import ROOT, Server
from tests.simulation.test_runs import begin, ended, state
from tests.simulation.test_simulate import BUTTONS, SLOW

pytestmark = pytest.mark.slow
SECONDS = 120
HEAVY = BUTTONS | {"get_reward": BUTTONS["get_reward"] + "\nsum(range(20_000))"}


class Dask:
    """A scheduler and two workers on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self.scheduler = self._started("scheduler", "--port", "0", "--scheduler-file", str(folder / "scheduler"))
        wait_until((folder / "scheduler").exists)
        self.workers = [self._worker(number) for number in range(2)]
        wait_until(lambda: self.log().count("Registered to") == 2)

    @property
    def address(self) -> str:
        return str(self.log("scheduler").split("Scheduler at:")[1].split()[0])

    def log(self, kind: str = "worker") -> str:
        return "".join(path.read_text() for path in self.folder.glob(f"{kind}*.log"))

    def _worker(self, number: int) -> subprocess.Popen[bytes]:
        local = str(self.folder / f"worker{number}")
        return self._started("worker", self.address, "--nthreads", "1", "--local-directory", local, number=number)

    def _started(self, kind: str, *arguments: str, number: int = 0) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self.folder / f"{kind}{number}.log").open("wb"))
        command = [sys.executable, "-m", "dask", kind, *arguments, "--host", "127.0.0.1", "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)
        self._stack.callback(ended_process, process)
        return process

    def close(self) -> None:
        self._stack.close()


def ended_process(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def below(pid: int) -> list[tuple[int, str]]:
    """The descendants of a process, with their commands."""
    lines = subprocess.run(["ps", "-wweo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [
        (int(pid), int(parent), args) for pid, parent, args in (line.split(None, 2) for line in lines.splitlines()[1:])
    ]
    family, found = {pid}, []
    while more := [row for row in rows if row[1] in family and row[0] not in family]:
        family |= {row[0] for row in more}
        found += [(row[0], row[2]) for row in more]
    return found


def zygotes(dask: Dask) -> int:
    """The processes of all zygotes: their own, and those with scripts that they have forked."""
    return sum("app.sandbox.zygote" in args for worker in dask.workers for _, args in below(worker.pid))


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    running = Dask(tmp_path_factory.mktemp("dask"))
    yield running
    running.close()


@pytest.fixture
def spread(start: Callable[..., Server], dask: Dask) -> Server:
    return start(**{"simulation.dask_scheduler": dask.address})


def test_repetitions_come_to_the_same_on_a_cluster_and_on_one_machine(
    start: Callable[..., Server], spread: Server, dask: Dask
) -> None:
    with spread.researcher() as far, start().researcher() as near:
        found = []
        for researcher in (far, near):
            inner = researcher.create(**BUTTONS)
            nested = f"self.action = Experiment('{inner.id}').run_action_code(self.context)"
            outer = researcher.create(**(BUTTONS | {"get_action": nested}))
            about = {"n": 300, "seed": 3, "repeat": 5, "expected": {"a": 0.3, "b": 0.6}}
            runs = [ended(each, begin(each, **about), SECONDS) for each in (inner, outer)]
            assert [(run["status"], run["done"]) for run in runs] == [("done", 1500)] * 2, runs
            found.append([{name: run[name] for name in ("arms", "series", "regret", "regret_high")} for run in runs])
        assert found[0] == found[1]
    for worker in dask.workers:
        assert sum("app.sandbox.zygote" in args for _, args in below(worker.pid)) >= 1


def test_a_worker_that_dies_costs_time_only(spread: Server, dask: Dask) -> None:
    with spread.researcher() as researcher:
        experiment = researcher.create(**HEAVY)
        first = ended(experiment, begin(experiment, n=2_000, seed=1, repeat=4), SECONDS)
        run = begin(experiment, n=2_000, seed=1, repeat=4)
        wait_until(lambda: state(experiment, run)["done"] > 0)
        victim = next(pid for pid, args in below(dask.workers[0].pid) if "spawn_main" in args)
        os.kill(victim, signal.SIGKILL)
        again = ended(experiment, run, SECONDS)
        assert (again["status"], again["arms"], again["series"]) == ("done", first["arms"], first["series"])


def test_a_run_that_is_cancelled_stops_on_the_cluster_too(spread: Server, dask: Dask) -> None:
    with spread.researcher() as researcher:
        quick, experiment = researcher.create(**BUTTONS), researcher.create(**SLOW)
        ended(quick, begin(quick, n=300, repeat=8), SECONDS)  # now each worker has its zygote
        idle = zygotes(dask)
        run = begin(experiment, n=10_000_000, repeat=3)
        wait_until(lambda: state(experiment, run)["done"] > 0)
        wait_until(lambda: zygotes(dask) > idle)
        begun = time.monotonic()
        answer = experiment.http.delete(f"/eval/{experiment.id}/simulations/{run}").json()
        assert time.monotonic() - begun < 10
        assert answer["status"] == "cancelled"
        wait_until(lambda: zygotes(dask) == idle)


def test_a_failing_draw_is_named_as_on_one_machine(spread: Server) -> None:
    failing = BUTTONS["set_reward"] + "if mean.get_count() == 7:\n    1 / 0\n"
    with spread.researcher() as researcher:
        experiment = researcher.create(**(BUTTONS | {"set_reward": failing}))
        run = ended(experiment, begin(experiment, n=100, seed=1, repeat=2), SECONDS)
        assert (run["status"], run["error"]["detail"]["line"]) == ("failed", failing.count("\n"))


def test_the_setting_is_named_where_no_scheduler_answers_or_it_goes_away(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    dask = Dask(tmp_path)
    try:
        with start(**{"simulation.dask_scheduler": dask.address}).researcher() as researcher:
            experiment = researcher.create(**SLOW)
            run = begin(experiment, n=10_000_000, repeat=2)
            wait_until(lambda: state(experiment, run)["done"] > 0)
            dask.scheduler.kill()
            assert "simulation.dask_scheduler" in ended(experiment, run, SECONDS)["error"]["message"]
            assert (
                "no Dask scheduler" in ended(experiment, begin(experiment, n=10, repeat=2), SECONDS)["error"]["message"]
            )
    finally:
        dask.close()
