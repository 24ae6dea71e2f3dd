"""Servers as processes, and people who call them."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import quote

import httpx

from app.services.accounts import Accounts
from app.storage.client import connect
from app.storage.mongod import REPLICA_SET, socket_path
from app.storage.store import Store

# Counts every reward under its arm; the simplest script whose theta shows whether each counted once.
COUNTING = {
    "get_context": "self.context['number'] = 1",
    "get_action": "self.action['arm'] = random.choice(['a', 'b'])\nself.action['propensity'] = 0.5",
    "get_reward": "self.reward['value'] = 1",
    "set_reward": (
        "arm = self.action['arm']\n"
        "count = base.Count(self.get_theta('arm', arm))\n"
        "count.increment()\n"
        "self.set_theta(count, 'arm', arm)\n"
    ),
}
PASSWORD = "correct horse"
SECRET = "a cookie secret for tests"
ROOT = Path(__file__).parents[1]
_START_SECONDS = 60


def settings_for(uri: str, database: str) -> dict[str, Any]:
    """What a server needs to work on a MongoDB that somebody else started."""
    return {"mongodb.uri": uri, "mongodb.database": database, "http.cookie_secret": SECRET}


class Server:
    """``thetaloop serve`` in a process of its own; used with ``with``, or ended by ``stop`` or ``kill``."""

    def __init__(self, folder: Path, settings: dict[str, Any], command: str = "serve") -> None:
        self.folder = folder
        self.command = command
        self.environment = {
            **os.environ,
            "THETALOOP_DATA_DIR": str(folder),
            "THETALOOP_SERVER_PORT": "0",
            **{"THETALOOP_" + name.upper().replace(".", "_"): _text(value) for name, value in settings.items()},
        }
        self.mongo = settings.get("mongodb.uri") or ""
        self.database = settings.get("mongodb.database", "thetaloop")
        self.url = ""
        self.output: list[str] = []

    def __enter__(self) -> Server:
        self.url = ""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", self.command],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=ROOT,
        )
        lines: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, args=(lines,))
        self._reader.start()
        while not self.url:
            line = lines.get(timeout=_START_SECONDS)
            assert line is not None, f"the server did not start: {self.errors()}"
            if line.startswith("listening on "):
                self.url = line.removeprefix("listening on ").strip()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.stop()
        self._end()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(60)

    def restart(self) -> None:
        """Start it again where it was, on the same port."""
        self._end()
        self.environment["THETALOOP_SERVER_PORT"] = self.url.rpartition(":")[2]
        self.__enter__()

    @property
    def mongo_uri(self) -> str:
        """Where its data are, even if its mongod is a private one."""
        if self.mongo:
            return str(self.mongo)
        return f"mongodb://{quote(str(socket_path(self.folder / 'mongodb')), safe='')}/?replicaSet={REPLICA_SET}"

    @property
    def mongod_pid(self) -> int:
        """The process id of its private mongod."""
        return int((self.folder / "mongodb" / "db" / "mongod.lock").read_text())

    def wait_until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for what the server does by itself."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.errors()
            time.sleep(0.02)

    def errors(self) -> str:
        """What it wrote to standard error."""
        return (self.folder / "server.log").read_text()

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client for it."""
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def researcher(self, *, admin: bool = False) -> Researcher:
        """Somebody with a fresh account who is signed in."""
        name = f"user-{secrets.token_hex(4)}"
        self.add_account(name, admin=admin)
        return Researcher(self.client(), name)

    def add_account(self, name: str, password: str = PASSWORD, *, admin: bool = False) -> None:
        """Add an account straight to the database: ten times faster than on the command line."""

        async def add() -> None:
            store = Store(connect(self.mongo_uri, self.database))
            await Accounts(store, rounds=4).add(name, password, admin=admin)
            await store.close()

        # On a thread of its own: where a browser is driven, this one has a loop that runs.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, add()).result()

    def run(self, *arguments: str, text: str = "", code: int = 0) -> str:
        """Run another command with the same settings; its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def _read(self, lines: Queue[str | None]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            lines.put(line)
        lines.put(None)

    def _end(self) -> None:
        self._reader.join(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


class Researcher:
    """Somebody signed in, with an HTTP client that keeps the cookie."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self.http = client
        self.name = name
        answer = client.post("/login", json={"username": name, "password": PASSWORD})
        assert answer.json() == {"status": "success"}

    def __enter__(self) -> Researcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()

    def create(self, name: str | None = None, **properties: Any) -> Experiment:
        """A new experiment; its scripts are empty unless they are given."""
        body = {"name": name or f"experiment {secrets.token_hex(4)}", **properties}
        answer = self.http.post("/exp", json=body)
        assert answer.status_code == 200, answer.text
        return Experiment(self.http, answer.json()["id"], answer.json()["key"])


class Experiment:
    """An experiment and the calls about it."""

    def __init__(self, client: httpx.Client, id: str, key: str) -> None:
        self.http = client
        self.id = id
        self.key = key

    def get_action(self, **parameters: Any) -> httpx.Response:
        """Call getaction; objects are sent as JSON."""
        return self.http.get(f"/getaction/{self.id}", params=_query({"key": self.key, **parameters}))

    def set_reward(self, **parameters: Any) -> httpx.Response:
        """Call setreward; objects are sent as JSON."""
        return self.http.get(f"/setreward/{self.id}", params=_query({"key": self.key, **parameters}))

    def replace(self, **properties: Any) -> httpx.Response:
        """Edit it."""
        return self.http.put(f"/exp/{self.id}", json={"name": f"experiment {self.id}", **properties})

    def post(self, call: str, *path: str, **parameters: Any) -> httpx.Response:
        """Call getaction or setreward, or their batches, by POST."""
        return self.http.post("/".join(["", call, self.id, *path]), json={"key": self.key, **parameters})

    def theta(self, **parameters: Any) -> Any:
        """What it has learned."""
        return self.http.get(f"/stats/{self.id}/currenttheta", params=parameters).json()

    def stats(self, path: str, **parameters: Any) -> Any:
        """A list of its statistics."""
        answer = self.http.get(f"/stats/{self.id}/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for(self, path: str, rows: int = 1, seconds: float = 30) -> Any:
        """The same, once it has so many rows: for what is written after the answer."""
        deadline = time.monotonic() + seconds
        while len(found := self.stats(path)) < rows:
            assert time.monotonic() < deadline, f"{path} still has {len(found)} rows"
            time.sleep(0.02)
        return found

    def summary(self) -> Any:
        """Its counts."""
        return self.http.get(f"/stats/{self.id}/summary").json()


def _query(parameters: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
