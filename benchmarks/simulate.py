"""Simulated draws per second beside a plain Python loop over the same scripts, and what they cost in memory.

    python -m benchmarks.simulate [--draws N] [DEFAULT ...]

The loop runs the compiled scripts of a ready-made experiment in this process with theta in a dict: no limits, no
copies, no JSON, no confinement, one seed for all. Both are measured in turn, several times over, and medians compared.
Memory is the largest resident size that the server's processes reach. Last, ``wrk`` asks another experiment for actions
while nothing else goes on and while a simulation runs flat out, in turn. ``PROFILE.rst`` says where the time goes.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

from app.domain.experiment import SCRIPTS
from app.sandbox.worker.script import MODULES
from app.services.catalogue import Catalogue, Template
from benchmarks.load import Bench, Caller, Running, started

_ROOT = Path(__file__).parents[1]
_CONNECTIONS = 8
_E_GREEDY = 3
_DEFAULTS = ("ab_test", "e_greedy", "thompson_bernoulli", "linucb", "logistic_thompson")


class Plain:
    """The least that scripts need as ``self``: theta is kept as it comes."""

    def __init__(self, thetas: dict[Any, Any]) -> None:
        self.thetas = thetas
        self.context: dict[str, Any] = {}
        self.action: dict[str, Any] = {}
        self.reward: dict[str, Any] = {}

    def get_theta(self, key: Any = None, value: Any = None, name: str = "_theta") -> Any:
        """A theta, or those of a key."""
        values = self.thetas.get((name, key), {})
        return values.get(value, {}) if value is not None or list(values) == [None] else values

    def set_theta(self, theta: Any, key: Any = None, value: Any = None, name: str = "_theta") -> None:
        """Keep a theta."""
        content = theta if isinstance(theta, dict) else theta.get_dict()
        self.thetas.setdefault((name, key), {})[value] = content


def plain_rate(default: Template, draws: int) -> float:
    """Draws per second of the loop."""
    codes = [compile(default.scripts[name], name, "exec") for name in SCRIPTS]
    thetas: dict[Any, Any] = {}
    np.random.seed(1)
    begun = time.perf_counter()
    for _ in range(draws):
        seen = Plain(thetas)
        for code in codes:
            exec(code, {**MODULES, "self": seen})
    return draws / (time.perf_counter() - begun)


def niced_plain_rate(name: str, draws: int) -> float:
    """The same in a process that gives way as simulations do, so that whatever else runs here slows both alike."""
    code = "import os, sys; os.nice(19); from benchmarks.simulate import Catalogue, plain_rate; "
    code += f"print(plain_rate(Catalogue().named({name!r}), {draws}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def simulated_rate(client: httpx.Client, default: Template, draws: int) -> float:
    """Draws per second of a simulation over HTTP, its start included."""
    scripts = {name: default.scripts[name] for name in SCRIPTS}
    made = client.post("/exp", json={"name": secrets.token_hex(8), **scripts}).raise_for_status().json()
    begun = time.perf_counter()
    parameters = {"N": draws, "seed": 1, "verbose": False}
    client.get(f"/eval/{made['id']}/simulate", params=parameters).raise_for_status()
    return draws / (time.perf_counter() - begun)


@contextmanager
def largest_memory(session: int) -> Iterator[dict[int, int]]:
    """The largest resident size of the process and its descendants, by process, in KiB."""
    sizes: dict[int, int] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for pid, size in _sizes(session):
                sizes[pid] = max(size, sizes.get(pid, 0))

    thread = threading.Thread(target=watch)
    thread.start()
    yield sizes
    over.set()
    thread.join()


def _sizes(root: int) -> Iterator[tuple[int, int]]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid,rss"], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()[1:]]
    family = {root}
    for pid, parent, size in sorted(rows):
        if parent in family or pid in family:
            family.add(pid)
            yield pid, size


def print_harm(client: httpx.Client, caller: Caller, server: Running, bench: Bench, rounds: int) -> None:
    """What a simulation does to the latency of actions of another experiment, without and with it in turn."""
    default = caller.default(_E_GREEDY)
    path = caller.create("live", **default).path("getaction")
    other = caller.create("simulated", **default).id
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(bench.load("getaction", _CONNECTIONS, server, path))
        run = client.post(f"/eval/{other}/simulations", json={"n": 10_000_000}).raise_for_status().json()["run"]
        while not client.get(f"/eval/{other}/simulations/{run}").raise_for_status().json()["done"]:
            time.sleep(0.1)
        beside.append(bench.load("getaction beside a simulation", _CONNECTIONS, server, path))
        begun = time.perf_counter()
        left = client.delete(f"/eval/{other}/simulations/{run}").raise_for_status().json()
        print(f"cancelled after {left['done']:,} of 10,000,000 draws, in {time.perf_counter() - begun:.2f} s")
    for name in ("p50", "p99"):
        without, with_it = (median(getattr(each, name) for each in found) for found in (alone, beside))
        figures = f"{without:.1f} ms alone, {with_it:.1f} ms beside a simulation"
        print(f"{name} of getaction: {figures}, ratio {with_it / without:.2f}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20_000, help="draws of each run (default: 20000)")
    parser.add_argument("--seconds", type=int, default=10, help="seconds of each load with wrk (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    parser.add_argument("defaults", nargs="*", default=_DEFAULTS, metavar="DEFAULT", help="ready-made experiments")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thetaloop-")))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("THETALOOP_")},
            "THETALOOP_DATA_DIR": str(folder / "data"),
            "THETALOOP_SERVER_PORT": "0",
        }
        server = stack.enter_context(started(["app", "serve"], environment, folder / "serve.log"))
        client = stack.enter_context(httpx.Client(base_url=server.url, timeout=None))
        password = secrets.token_hex(8)
        command = [sys.executable, "-m", "app", "user", "add", "bench", "--password-stdin"]
        subprocess.run(command, env=environment, cwd=_ROOT, input=password, text=True, check=True, capture_output=True)
        client.post("/login", json={"username": "bench", "password": password}).raise_for_status()
        simulated_rate(client, Catalogue().named("ab_test"), 1)  # starts the processes
        print("   ratio  draws/s   plain/s  experiment")
        for name in options.defaults:
            default = Catalogue().named(name)
            rounds = [
                (niced_plain_rate(name, options.draws), simulated_rate(client, default, options.draws))
                for _ in range(options.rounds)
            ]
            plain, simulated = (median(rates) for rates in zip(*rounds, strict=True))
            print(f"{simulated / plain:8.2f} {simulated:8,.0f} {plain:9,.0f}  {default.title}", flush=True)
        default = Catalogue().named("ab_test")
        for draws in (options.draws, 10 * options.draws):
            with largest_memory(os.getpid()) as sizes:
                simulated_rate(client, default, draws)
            ours = sorted(size for pid, size in sizes.items() if pid != os.getpid())[::-1][:3]
            print(f"{draws:,} draws: largest processes {', '.join(f'{size >> 10} MiB' for size in ours)}")
        print_harm(client, Caller(server.url, password), server, Bench(folder, options.seconds), options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
