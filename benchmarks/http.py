"""Requests per second beside those of a bare Tornado handler, all in one run on one machine.

    python -m benchmarks.http [--seconds N]

Starts the bare handler and ``thetaloop serve`` with a private MongoDB in a temporary folder, makes experiments with the
ready-made epsilon-greedy policy and sends calls with ``wrk`` over 1 and over 64 connections. The load generator, the
servers and mongod share the processors, so the ratio to the bare handler says more than the rate.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

_CONNECTIONS = (1, 64)
_BATCH = 100
_BARE = "bare Tornado handler"
_E_GREEDY = "3"
_MOST_ITEMS = 1_000
_ROOT = Path(__file__).parents[1]

# wrk hands its figures to `done`; durations are in microseconds.
_DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""
_POST = """
wrk.method = "POST"
wrk.body = io.open("{body}"):read("*a")
"""
# Each advice id once; a path that no route has, and so an error in the table, if they run out.
_EACH_ID = """
local next_id = io.lines("{ids}")
function request()
  return wrk.format("GET", "{path}&advice_id=" .. (next_id() or "none"))
end
"""


@dataclass
class Result:
    """What wrk saw: ``calls`` of each request, a latency in milliseconds per request."""

    name: str
    connections: int
    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int
    calls: int = 1

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.requests * self.calls / self.seconds


class Bench:
    """Runs wrk; its scripts lie in ``folder``."""

    def __init__(self, folder: Path, seconds: int) -> None:
        self.folder = folder
        self.seconds = seconds
        self.results: list[Result] = []

    def load(self, name: str, connections: int, url: str, script: str = "", calls: int = 1) -> Result:
        """Send calls for some seconds; the result is also kept for the table."""
        path = self.folder / "load.lua"
        path.write_text(script + _DONE)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{self.seconds}s", "--timeout", "20s", "-s", str(path), url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = next(line for line in output.splitlines() if line.startswith("RESULT "))
        result = Result(name, connections, **json.loads(found.removeprefix("RESULT ")), calls=calls)
        print(f"  {name}, {connections} connections: {result.rate:,.0f}/s", file=sys.stderr)
        self.results.append(result)
        return result

    def posted(self, body: Any) -> str:
        """A script that posts this body each time."""
        path = self.folder / "body.json"
        path.write_text(json.dumps(body))
        return _POST.format(body=path)

    def each_id(self, path: str, ids: list[str]) -> str:
        """A script that sends each advice id once."""
        file = self.folder / "ids"
        file.write_text("\n".join(ids) + "\n")
        return _EACH_ID.format(ids=file, path=path)


class Caller:
    """A researcher who is signed in and makes experiments."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=60)
        self._ok(self.http.post("/login", json={"username": "bench", "password": password}))

    def create(self, name: str, **options: Any) -> tuple[str, str]:
        """Id and key of a new epsilon-greedy experiment whose worker is warm."""
        default = self._ok(self.http.get(f"/exp/defaults/{_E_GREEDY}"))
        made = self._ok(self.http.post("/exp", json={**default, **options, "name": name}))
        experiment = made["id"], made["key"]
        self.actions(experiment, 200)
        return experiment

    def actions(self, experiment: tuple[str, str], count: int) -> list[Any]:
        """So many answers to getaction."""
        exp_id, key = experiment
        answers: list[Any] = []
        while len(answers) < count:
            items: list[Any] = [{}] * min(_MOST_ITEMS, count - len(answers))
            answers += self._ok(self.http.post(f"/getaction/{exp_id}/batch", json={"key": key, "items": items}))[
                "items"
            ]
        return answers

    @staticmethod
    def _ok(answer: httpx.Response) -> Any:
        answer.raise_for_status()
        return answer.json()


def measure(bench: Bench, bare: str, caller: Caller) -> None:
    """Every kind of call, over few and many connections."""
    plain = caller.create("without advice ids")
    advised = caller.create("with advice ids", advice_id=True, delta_hours=0, default_reward={})
    action = {"arm": "A", "propensity": 0.9}
    reward = {"value": 1}
    told = f"&context=%7B%7D&action={quote(json.dumps(action))}&reward={quote(json.dumps(reward))}"
    asked: list[Any] = [{"context": {}}] * _BATCH
    rewarded = [{"context": {}, "action": action, "reward": reward}] * _BATCH
    for connections in _CONNECTIONS:
        bench.load(_BARE, connections, f"{bare}/getaction/0?key=0")
        bench.load("getaction", connections, _call(caller, "getaction", plain))
        bench.load("getaction, with advice ids", connections, _call(caller, "getaction", advised))
        seen = bench.load("setreward, context and action", connections, _call(caller, "setreward", plain) + told)
        # More than can be needed: twice the rate just seen.
        ids = [answer["advice_id"] for answer in caller.actions(advised, int(2 * seen.rate * bench.seconds) + 1_000)]
        path = f"/setreward/{advised[0]}?key={advised[1]}&reward={quote(json.dumps(reward))}"
        bench.load("setreward, advice ids", connections, caller.url, bench.each_id(path, ids))
        for name, items in (("getaction", asked), ("setreward", rewarded)):
            script = bench.posted({"key": plain[1], "items": items})
            url = f"{caller.url}/{name}/{plain[0]}/batch"
            bench.load(f"{name}, in batches of {_BATCH}", connections, url, script, calls=_BATCH)


def _call(caller: Caller, name: str, experiment: tuple[str, str]) -> str:
    return f"{caller.url}/{name}/{experiment[0]}?key={experiment[1]}"


def table(results: list[Result]) -> str:
    """The figures, ratios first."""
    bare = {result.connections: result.rate for result in results if result.name == _BARE}
    lines = [f"{'to bare':>8} {'calls/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7}  connections, call"]
    for result in results:
        ratio = result.rate / bare[result.connections]
        figures = f"{ratio:8.2f} {result.rate:9,.0f} {result.p50:8.2f} {result.p99:8.2f} {result.errors:7}"
        lines.append(f"{figures}  {result.connections:>2}  {result.name}")
    return "\n".join(lines)


@contextmanager
def serving(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[str]:
    """A server of our own; yields its URL."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=environment,
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                raise RuntimeError(f"{arguments[0]} did not start: {log.read_text()}")
            yield line.removeprefix("listening on ").strip()
        finally:
            process.terminate()
            process.wait(60)


def main() -> int:
    """Measure and print; 1 if any call was answered with an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="how long each kind of call is sent (default: 5)")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thetaloop-")))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("THETALOOP_")},
            "THETALOOP_DATA_DIR": str(folder / "data"),
            "THETALOOP_SERVER_PORT": "0",
        }
        bare = stack.enter_context(serving(["benchmarks.bare"], environment, folder / "bare.log"))
        url = stack.enter_context(serving(["app", "serve"], environment, folder / "serve.log"))
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
        bench = Bench(folder, options.seconds)
        measure(bench, bare, Caller(url, password))
    print(table(bench.results))
    return 1 if any(result.errors for result in bench.results) else 0


if __name__ == "__main__":
    sys.exit(main())
