"""What calls cost beside those of a bare Tornado handler, all in one run on one machine.

    python -m benchmarks.http [--seconds N] [--rows N] [--only SECTION ...]

Starts the bare handler and ``thetaloop serve`` with a private MongoDB in a temporary folder and sends calls with
``wrk``. The load generator, the servers and mongod share the processors, so ratios to the bare handler say more than
rates; it is measured anew before each section, as machines change their speed. Sections:

``calls``        every kind of call over 1, 8, 64 and 256 connections, with the ready-made epsilon-greedy policy
``policies``     the same calls with Bernoulli Thompson sampling and with a linear policy of ten features
``experiments``  calls to one of 1, 100 and 1,000 experiments, and spread over 100
``logs``         an experiment whose logs hold a million rows, beside one whose logs are empty
``processes``    two HTTP processes in front of the engine
``fairness``     an experiment with slow scripts is saturated; what calls of another one then wait
``memory``       what a million calls leave in the server's memory
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient

from app.domain.ids import new_id
from app.storage.mongod import REPLICA_SET, socket_path
from benchmarks.load import Bench, Caller, Made, Result, Running, started

_BATCH = 100
# As many batches at once as an experiment's queue, of 4,000 calls, can take.
_BATCHES = 32
_BARE = "bare Tornado handler"
_E_GREEDY, _THOMPSON = 3, 11
_SPREAD = 100
_ROOT = Path(__file__).parents[1]
_ADVISED = {"advice_id": True, "delta_hours": 0, "default_reward": {}}
_ACTION, _REWARD = {"arm": "A", "propensity": 0.9}, {"value": 1}
_FEATURES = [round(0.1 * n, 1) for n in range(10)]
_LINEAR = {
    "get_action": (
        "policy = linear.LinearThompson(self.get_theta(), ['A', 'B'], v=0.5)\n"
        "self.action['arm'], self.action['propensity'] = policy.pull(self.context['x'])\n"
    ),
    "set_reward": (
        "policy = linear.LinearThompson(self.get_theta(), ['A', 'B'])\n"
        "policy.update(self.action['arm'], self.reward['value'], self.context['x'])\n"
        "self.set_theta(policy)\n"
    ),
}
_SLOW = {
    "get_action": "import time\nbegun = time.perf_counter()\nwhile time.perf_counter() < begun + 0.02:\n    pass\n"
}


@dataclass
class Table:
    """The figures, ratios first; each section beside its own measurement of the bare handler."""

    section: str
    bare: dict[int, Result]
    rows: list[Result]

    def __str__(self) -> str:
        lines = [
            f"\n{self.section}",
            f"{'to bare':>8} {'calls/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'p99/bare':>8} {'errors':>7}"
            f" {'µs server':>10} {'workers':>8} {'mongod':>8}  connections, call",
        ]
        for row in [*self.bare.values(), *self.rows]:
            bare = self.bare[row.connections]
            server, workers, mongod = row.cpu
            lines.append(
                f"{row.rate / bare.rate:8.2f} {row.rate:9,.0f} {row.p50:8.2f} {row.p99:8.2f} {row.p99 / bare.p99:8.2f}"
                f" {row.errors:7} {server:10.0f} {workers:8.0f} {mongod:8.0f}  {row.connections:>3}  {row.name}"
            )
        return "\n".join(lines)


class Sections:
    """The measurements; each gives a table."""

    def __init__(self, bench: Bench, bare: Running, server: Running, caller: Caller, options: Any) -> None:
        self.bench = bench
        self.bare_server = bare
        self.server = server
        self.caller = caller
        self.rows = options.rows
        self.million = options.calls

    def calls(self) -> Table:
        """Every kind of call."""
        plain = self.caller.create("calls", **self.caller.default(_E_GREEDY))
        advised = self.caller.create("calls with advice ids", **self.caller.default(_E_GREEDY), **_ADVISED)
        connections = (1, 8, 64, 256)
        table = Table("Calls", self.bare(*connections, _BATCHES), [])
        for each in connections:
            table.rows += self.every_call(each, plain, advised)
        return table

    def every_call(self, connections: int, plain: Made, advised: Made, server: Running | None = None) -> list[Result]:
        """getaction and setreward, with and without advice ids, singly and in batches."""
        at = server or self.server
        asked: list[Any] = [{"context": {}}] * _BATCH
        rewarded = [{"context": {}, "action": _ACTION, "reward": _REWARD}] * _BATCH
        found = [
            self.bench.load("getaction", connections, at, plain.path("getaction")),
            self.bench.load("getaction, with advice ids", connections, at, advised.path("getaction")),
            self.bench.load("setreward, context and action", connections, at, plain.path("setreward") + _told({})),
        ]
        # More than can be needed: twice the rate just seen.
        ids = self.caller.actions(advised, int(2 * found[-1].rate * self.bench.seconds) + 1_000)
        path = f"{advised.path('setreward')}&reward={quote(json.dumps(_REWARD))}&advice_id="
        script = self.bench.each([path + answer["advice_id"] for answer in ids])
        found.append(self.bench.load("setreward, advice ids", connections, at, script=script))
        if connections > 2 * _BATCHES:  # as over fewer
            return found
        for name, items in (("getaction", asked), ("setreward", rewarded)):
            script = self.bench.posted({"key": plain.key, "items": items})
            path = f"/{name}/{plain.id}/batch"
            over = min(connections, _BATCHES)
            found.append(self.bench.load(f"{name}, in batches of {_BATCH}", over, at, path, script, calls=_BATCH))
        return found

    def policies(self) -> Table:
        """Cheap and costly scripts."""
        table = Table("Policies", self.bare(64), [])
        thompson = self.caller.default(_THOMPSON)
        for name, properties, context in (
            ("epsilon-greedy", self.caller.default(_E_GREEDY), {}),
            ("Bernoulli Thompson", thompson, {}),
            ("linear Thompson of 10 features", _LINEAR, {"x": _FEATURES}),
        ):
            made = self.caller.create(name, warm=0, **properties)
            told = made.path("setreward") + _told(context)
            asked = f"{made.path('getaction')}&context={quote(json.dumps(context))}"
            table.rows.append(self.bench.load(f"setreward, {name}", 64, self.server, told))
            table.rows.append(self.bench.load(f"getaction, {name}", 64, self.server, asked))
        return table

    def experiments(self) -> Table:
        """Many experiments: one of them called, or all, with fewer workers than experiments and with more."""
        table = Table("Experiments", self.bare(64), [])
        default = self.caller.default(_E_GREEDY)
        made: list[Made] = []
        for count in (1, 100, 1_000):
            made += [self.caller.create(f"one of {count}: {n}", 0, **default) for n in range(len(made), count)]
            title = f"one of {count:,} experiments" if count > 1 else "the only experiment"
            table.rows += self.both_calls(title, made[:1], self.server)
        spread = f"spread over {_SPREAD} experiments"
        table.rows += self.both_calls(f"{spread}, 32 workers", made[:_SPREAD], self.server)
        environment = _environment(self.server.folder) | {"THETALOOP_SANDBOX_MAX_WORKERS": str(2 * _SPREAD)}
        with started(["app", "serve"], environment, self.server.folder / "wide.log") as wide:
            table.rows += self.both_calls(f"{spread}, {2 * _SPREAD} workers", made[:_SPREAD], wide)
        return table

    def both_calls(self, title: str, made: list[Made], at: Running) -> list[Result]:
        """getaction and setreward to these experiments at random."""
        return [
            self.bench.load(f"{call}, {title}", 64, at, script=self.bench.any([e.path(call) + more for e in made]))
            for call, more in (("getaction", ""), ("setreward", _told({})))
        ]

    def logs(self) -> Table:
        """Empty and long logs."""
        table = Table(f"Logs of {self.rows:,} rows", self.bare(64), [])
        for name, rows in (("empty logs", 0), (f"logs of {self.rows:,} rows", self.rows)):
            made = self.caller.create(name, **self.caller.default(_E_GREEDY), **_ADVISED)
            if rows:
                fill(self.server.folder / "data", made, rows)
            table.rows.append(self.bench.load(f"getaction, {name}", 64, self.server, made.path("getaction")))
            told = made.path("setreward") + _told({})
            table.rows.append(self.bench.load(f"setreward, {name}", 64, self.server, told))
        return table

    def processes(self) -> Table:
        """Two HTTP processes."""
        table = Table("Two HTTP processes", self.bare(64, 256, _BATCHES), [])
        plain = self.caller.create("processes", **self.caller.default(_E_GREEDY))
        advised = self.caller.create("processes with advice ids", **self.caller.default(_E_GREEDY), **_ADVISED)
        log = self.server.folder / "two.log"
        with started(["app", "serve", "--processes", "2"], _environment(self.server.folder), log) as two:
            for connections in (64, 256):
                table.rows += self.every_call(connections, plain, advised, two)
        return table

    def fairness(self) -> Table:
        """One experiment's scripts are slow and its queue is full; another one is called over 8 connections."""
        table = Table("Beside a saturated experiment, whose scripts take 20 ms", self.bare(8, 64), [])
        quick = self.caller.create("quick", **self.caller.default(_E_GREEDY))
        slow = self.caller.create("slow", warm=1, **_SLOW)
        path = quick.path("getaction")
        alone = self.bench.load("getaction, alone", 8, self.server, path)
        busy = threading.Thread(
            target=lambda: table.rows.append(
                Bench(self.bench.folder, 3 * self.bench.seconds).load(
                    "getaction, saturated", 64, self.server, slow.path("getaction")
                )
            )
        )
        busy.start()
        beside = self.bench.load("getaction, beside it", 8, self.server, path)
        busy.join()
        table.section += f": p99 is {beside.p99 / alone.p99:.2f} times that without it"
        table.rows = [alone, beside, *table.rows]
        return table

    def memory(self) -> Table:
        """A million calls."""
        made = self.caller.create("memory", **self.caller.default(_E_GREEDY))
        table = Table("Memory", self.bare(64), [])
        body = {"key": made.key, "items": [{"context": {}}] * _BATCH}
        script = self.bench.posted(body)
        sizes: list[int] = []
        done = 0
        while done < self.million:
            row = self.bench.load("getaction", 8, self.server, f"/getaction/{made.id}/batch", script, calls=_BATCH)
            done += row.requests * _BATCH
            sizes.append(_resident(self.server.pid))
        seen = " ".join(f"{size:.0f}" for size in sizes)
        table.section = f"Memory of the server during {done:,} calls, in MiB: {seen}"
        return table

    def bare(self, *connections: int) -> dict[int, Result]:
        """The handler to compare with."""
        return {each: self.bench.load(_BARE, each, self.bare_server, "/getaction/0?key=0") for each in connections}


def fill(data: Path, made: Made, rows: int) -> None:
    """Give an experiment long logs, as if they had been written over a year; counts included."""
    uri = f"mongodb://{quote(str(socket_path(data / 'mongodb')), safe='')}/?replicaSet={REPLICA_SET}"
    begun = datetime.now(UTC) - timedelta(days=365)
    common: dict[str, Any] = {"exp_id": made.id, "context": {}, "action": _ACTION, "revision": 1}
    with MongoClient[dict[str, Any]](uri) as client:
        db = client["thetaloop"]
        for first in range(0, rows, 10_000):
            numbers = range(first, min(rows, first + 10_000))
            dated = [(new_id(), n, begun + timedelta(seconds=n)) for n in numbers]
            db.decisions.insert_many(
                {**common, "_id": i, "date": d, "seq": n, "epoch": 1, "status": "rewarded", "propensity": 0.9}
                for i, n, d in dated
            )
            db.rewards.insert_many(
                {**common, "_id": i, "date": d, "seq": n + 1, "reward": _REWARD, "advice_id": i, "default": False}
                for i, n, d in dated
            )
        db.heads.update_one({"_id": made.id}, {"$inc": {"seq": rows, "rewards": rows}})


def _told(context: dict[str, Any]) -> str:
    context_, action, reward = (quote(json.dumps(each)) for each in (context, _ACTION, _REWARD))
    return f"&context={context_}&action={action}&reward={reward}"


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _environment(folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("THETALOOP_")},
        "THETALOOP_DATA_DIR": str(folder / "data"),
        "THETALOOP_SERVER_PORT": "0",
    }


@contextmanager
def everything(options: Any) -> Iterator[Sections]:
    """The servers, and somebody who may make experiments."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thetaloop-")))
        environment = _environment(folder)
        bare = stack.enter_context(started(["benchmarks.bare"], environment, folder / "bare.log"))
        server = stack.enter_context(started(["app", "serve"], environment, folder / "serve.log"))
        password = secrets.token_hex(8)
        subprocess.run(
            [sys.executable, "-m", "app", "user", "add", "bench", "--password-stdin"],
            env=environment,
            cwd=_ROOT,
            input=password,
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield Sections(Bench(folder, options.seconds), bare, server, Caller(server.url, password), options)


def main() -> int:
    """Measure and print; 1 if any call was answered with an error."""
    known: dict[str, Callable[[Sections], Table]] = {
        each.__name__: each
        for each in (
            Sections.calls,
            Sections.policies,
            Sections.experiments,
            Sections.logs,
            Sections.processes,
            Sections.fairness,
            Sections.memory,
        )
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="how long each kind of call is sent (default: 5)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="how long the long logs are (default: 1,000,000)")
    parser.add_argument("--calls", type=int, default=1_000_000, help="how many calls memory is watched for")
    parser.add_argument("--only", nargs="+", choices=known, default=list(known), help="these sections only")
    options = parser.parse_args()
    tables = []
    with everything(options) as sections:
        for name in options.only:
            print(f"{name}:", file=sys.stderr)
            tables.append(known[name](sections))
            print(tables[-1], flush=True)
    return 1 if any(row.errors for table in tables for row in table.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
