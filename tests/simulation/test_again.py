"""Simulated draws made again: from their rows, and by scripts in either of the forms in which they are run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.experiment import SCRIPTS
from app.sandbox.host.interpreter import SAME_BYTES
from app.sandbox.host.zygote_client import Zygote
from app.sandbox.protocol import Entry, encode
from app.services.catalogue import Catalogue
from app.simulation.runner import RunningSimulation, SimulatedExperiment, SimulationTask, Simulators
from tests.servers import Experiment, Researcher
from tests.simulation.test_simulate import BUTTONS, simulate

# Each is run as it is, as a function would do something else.
AS_THEY_ARE = {
    "leaves something on self": "self.stray = 1\nself.context['x'] = 1",
    "takes the name of a module": "random = random.Random(1)\nself.context['x'] = random.random()",
    "shares a name with a function": "n = 1\ndef more():\n    global n\n    n += 1\nmore()\nself.context['x'] = n",
    "has a class that sees its names": "x = 1\nclass A:\n    x = x\nself.context['x'] = A.x",
    "looks at its names": "here = 1\nself.context['x'] = 'here' in globals() and 'here' in vars()",
    "runs text": "exec('y = 2')\nself.context['x'] = y",
    "catches its own mistake": "try:\n    y: nothing = 1\nexcept NameError:\n    self.context['x'] = 1",
    "puts something into builtins": "__builtins__['x'] = 1\nself.context['x'] = 1",
}


class Alone:
    """The world of scripts that call no other experiment."""

    def __init__(self, scripts: dict[str, str], thetas: list[Entry]) -> None:
        self.scripts = scripts
        self.thetas = thetas

    async def find(self, exp_id: str) -> SimulatedExperiment | None:
        return SimulatedExperiment(self.scripts, self.thetas) if exp_id == "e" else None


async def drawn(
    simulators: Simulators,
    scripts: dict[str, str],
    n: int,
    seed: str,
    first: int = 0,
    thetas: list[Entry] | None = None,
) -> list[Any]:
    """The draws with numbers from ``first`` up to ``n``: context, action, reward and theta."""
    task = SimulationTask("e", n, seed, rows=True, call_seconds=5, range_max=10_000)
    async with simulators.worker() as worker:
        simulation = RunningSimulation(task, Alone(scripts, thetas or []), worker)
        simulation.done = first
        return [row async for rows in simulation.draws() for row in rows]


def alone(scripts: dict[str, Any]) -> dict[str, str]:
    return {name: scripts.get(name, "") for name in SCRIPTS}


def test_a_stretch_of_logged_draws_is_made_again_from_the_rows(researcher: Researcher) -> None:
    experiment: Experiment = researcher.create(**BUTTONS)
    simulate(experiment, N=650, seed=11, log_stats="True", verbose="False")
    (row,) = experiment.stats("simulationlog")
    logged = [row[str(number)] for number in range(650)]

    async def replay() -> None:
        simulators = Simulators(Zygote(512, interpreter=SAME_BYTES), 1)
        try:
            for first in (0, 100, 500, 600):
                theta = logged[first - 1]["theta"] if first else {}
                entries = [Entry("e", "_theta", *name.split(":"), encode(each)) for name, each in theta.items()]
                last = min(first + 100, 650)
                again = await drawn(simulators, alone(BUTTONS), last, str(row["seed"]), first, entries)
                assert [list(draw.values()) for draw in logged[first:last]] == again
        finally:
            await simulators.stop()

    asyncio.run(replay())


@pytest.mark.slow
def test_ready_made_scripts_draw_the_same_whether_they_are_run_as_functions_or_not() -> None:
    async def compare() -> None:
        simulators = Simulators(Zygote(512, interpreter=SAME_BYTES), 1)
        try:
            for default in Catalogue().all():
                # What looks at its namespace is run as it is.
                as_they_are = {name: f"{source}\nvars\n" for name, source in default.scripts.items()}
                first = await drawn(simulators, alone(default.scripts), 150, "3")
                assert encode(first) == encode(await drawn(simulators, alone(as_they_are), 150, "3")), default.title
        finally:
            await simulators.stop()

    asyncio.run(compare())


@pytest.mark.parametrize("script", AS_THEY_ARE.values(), ids=AS_THEY_ARE)
def test_scripts_that_could_not_be_functions_do_what_they_do_live(researcher: Researcher, script: str) -> None:
    scripts = {
        "get_context": script,
        "get_action": "self.action['stray'] = hasattr(self, 'stray') or 'A' in dir()",
        "get_reward": "self.reward['value'] = 1",
        "set_reward": "self.set_theta(self.context)",
    }
    draws = simulate(researcher.create(**scripts), N=3, seed=1).json()["data"].values()
    first = next(iter(draws))
    assert len(first["context"]) == 1
    assert first["theta"] == first["context"]
    assert {draw["action"]["stray"] for draw in draws} == {False}


def test_what_is_done_to_builtins_ends_with_the_stretch(researcher: Researcher) -> None:
    script = "self.action['before'] = 'mine' in __builtins__\n__builtins__['mine'] = 1"
    draws = simulate(
        researcher.create(**(BUTTONS | {"get_action": script, "get_reward": "#", "set_reward": "#"})), N=201
    )
    found = [draw["action"]["before"] for draw in draws.json()["data"].values()]
    assert [number for number, before in enumerate(found) if not before] == [0, 100, 200]


def test_a_simulation_calls_another_experiment_from_one_seed_per_draw(researcher: Researcher) -> None:
    """The worker learns of the other only when the first draw asks for it; that draw is then made again."""
    inner = researcher.create(**BUTTONS)
    nested = f"random.random(), np.random.rand()\nself.action = Experiment('{inner.id}').run_action_code({{}})\n"
    outer = researcher.create(**(BUTTONS | {"get_action": nested + "self.action['x'] = random.random()"}))
    short, long = (simulate(outer, N=n, seed=5).json()["data"] for n in (1, 120))
    assert short["0"] == long["0"]
    assert len({draw["action"]["x"] for draw in long.values()}) == 120
