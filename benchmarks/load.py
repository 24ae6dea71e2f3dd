"""Servers of our own, calls sent to them by ``wrk``, and the processor time that they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
_MAX_ITEMS = 1_000

# wrk hands its figures to `done`; durations are in microseconds.
_DONE = """
local threads = {}
function setup(thread) threads[#threads + 1] = thread end
function done(summary, latency, requests)
  local e = summary.errors
  local refused = 0
  for _, thread in ipairs(threads) do refused = refused + (thread:get("refused") or 0) end
  io.write(string.format('\\nRESULT {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout + refused))
end
"""
# A batch is answered 200 even if some of its items are refused.
_POST = """
wrk.method = "POST"
wrk.body = io.open("{body}"):read("*a")
refused = 0
function response(status, headers, body)
  if body:find('"error":', 1, true) then refused = refused + 1 end
end
"""
# Each line once; a path that no route has, and so an error in the table, if they run out.
_EACH = """
local next_line = io.lines("{lines}")
function request()
  return wrk.format("GET", next_line() or "/none")
end
"""
# Lines at random, over and over.
_ANY = """
local paths = {{}}
for line in io.lines("{lines}") do paths[#paths + 1] = line end
math.randomseed(1)
function request()
  return wrk.format("GET", paths[math.random(#paths)])
end
"""


@dataclass
class Result:
    """What wrk saw: ``calls`` in each request, latencies in milliseconds per request.

    ``cpu`` are microseconds of processor time per call: of the server, of its workers and of mongod.
    """

    name: str
    connections: int
    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int
    calls: int = 1
    cpu: tuple[float, float, float] = (0, 0, 0)

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.requests * self.calls / self.seconds


@dataclass
class Running:
    """A server of ours."""

    url: str
    pid: int
    folder: Path

    def seconds(self) -> tuple[float, float, float]:
        """Processor time so far: of the server's own processes, of its workers, and of the mongod in its folder."""
        found = dict(_processes())
        ours = {self.pid}
        while more := {pid for pid, (parent, _, _) in found.items() if parent in ours} - ours:
            ours |= more
        server = workers = mongod = 0.0
        for pid, (_, command, seconds) in found.items():
            if "mongod" in command.partition(" ")[0]:
                mongod += seconds if str(self.folder) in command else 0
            elif pid == self.pid or (pid in ours and " serve" in command):
                server += seconds
            elif pid in ours:
                workers += seconds
        return server, workers, mongod


def _processes() -> Iterator[tuple[int, tuple[int, str, float]]]:
    """Parent, command and processor seconds of every process, with those of its children that ended."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            yield int(entry.name), (int(fields[1]), command, sum(map(int, fields[11:15])) / _TICKS)


class Bench:
    """Runs wrk; its scripts lie in ``folder``."""

    def __init__(self, folder: Path, seconds: int) -> None:
        self.folder = folder
        self.seconds = seconds

    def load(
        self, name: str, connections: int, at: Running, path: str = "/", script: str = "", calls: int = 1
    ) -> Result:
        """Send calls for some seconds."""
        file = self.folder / f"load-{os.urandom(4).hex()}.lua"
        file.write_text(script + _DONE)
        before = at.seconds()
        output = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{self.seconds}s", "--timeout", "20s", "-s", file, at.url + path],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = next(line for line in output.splitlines() if line.startswith("RESULT "))
        result = Result(name, connections, **json.loads(found.removeprefix("RESULT ")), calls=calls)
        # What workers used that have ended is not known.
        spent = [max(0, after - earlier) for earlier, after in zip(before, at.seconds(), strict=True)]
        count = max(1, result.requests * calls)
        result.cpu = (1e6 * spent[0] / count, 1e6 * spent[1] / count, 1e6 * spent[2] / count)
        print(f"  {name}, {connections} connections: {result.rate:,.0f}/s", file=sys.stderr)
        return result

    def posted(self, body: Any) -> str:
        """A script that posts this body each time."""
        return _POST.format(body=self._file(json.dumps(body)))

    def each(self, paths: list[str]) -> str:
        """A script that asks for each path once."""
        return _EACH.format(lines=self._file("\n".join(paths) + "\n"))

    def any(self, paths: list[str]) -> str:
        """A script that asks for these paths at random."""
        return _ANY.format(lines=self._file("\n".join(paths) + "\n"))

    def _file(self, text: str) -> Path:
        file = self.folder / os.urandom(4).hex()
        file.write_text(text)
        return file


@dataclass(frozen=True)
class Made:
    """An experiment that was made for a measurement."""

    id: str
    key: str

    def path(self, call: str) -> str:
        """The path of a call of it, with its key."""
        return f"/{call}/{self.id}?key={self.key}"


class Caller:
    """A researcher who is signed in and makes experiments."""

    def __init__(self, url: str, password: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60)
        self._ok(self.http.post("/login", json={"username": "bench", "password": password}))

    def default(self, number: int) -> dict[str, Any]:
        """The scripts of a ready-made experiment."""
        found: dict[str, Any] = self._ok(self.http.get(f"/exp/defaults/{number}"))
        return found

    def create(self, name: str, /, warm: int = 200, **properties: Any) -> Made:
        """A new experiment, after so many calls of getaction."""
        made = self._ok(self.http.post("/exp", json={**properties, "name": name}))
        experiment = Made(made["id"], made["key"])
        self.actions(experiment, warm)
        return experiment

    def actions(self, experiment: Made, count: int) -> list[Any]:
        """So many answers to getaction."""
        answers: list[Any] = []
        while len(answers) < count:
            items: list[Any] = [{}] * min(_MAX_ITEMS, count - len(answers))
            body = {"key": experiment.key, "items": items}
            answers += self._ok(self.http.post(f"/getaction/{experiment.id}/batch", json=body))["items"]
        return answers

    @staticmethod
    def _ok(answer: httpx.Response) -> Any:
        answer.raise_for_status()
        return answer.json()


@contextmanager
def started(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[Running]:
    """A server of our own, whose files are where its log is."""
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
            yield Running(line.removeprefix("listening on ").strip(), process.pid, log.parent)
        finally:
            process.terminate()
            process.wait(60)
