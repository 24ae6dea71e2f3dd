"""What supervisors and load balancers ask a server, and what it says while something is wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.servers import Server


def timed(client: httpx.Client, path: str, method: str = "GET") -> tuple[int, float]:
    """The status of an answer and the seconds that it took."""
    started = time.monotonic()
    return client.request(method, path).status_code, time.monotonic() - started


def test_a_server_that_works_is_alive_and_ready(server: Server) -> None:
    with server.client() as client:
        for path in ("/livez", "/readyz", "/health"):
            assert client.get(path).status_code == 200
            head = client.head(path)
            assert (head.status_code, head.content) == (200, b"")
        answer = client.get("/readyz").json()
        assert answer.keys() == {"status", "generated_at"}
        assert answer["status"] == "ready"


def test_administrators_are_told_what_was_looked_at(server: Server) -> None:
    with server.researcher(admin=True) as chief, server.researcher() as somebody:
        checks = chief.http.get("/readyz").json()["checks"]
        assert [check["name"] for check in checks] == ["mongodb", "sandbox", "disk", "draining"]
        assert all(check == {"name": check["name"], "ok": True, "detail": ""} for check in checks)
        assert "checks" not in somebody.http.get("/readyz").json()


def test_a_full_disk_refuses_writes_and_a_hanging_mongod_does_not_hold_up_probes(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    server = start(embedded=tmp_path / "embedded", **{"mongodb.min_free_mb": 10**9})
    with server.researcher(admin=True) as chief:
        for refused in (chief.http.get("/getaction/0?key=x"), chief.http.post("/exp", json={"name": "x"})):
            assert refused.status_code == 503
            assert refused.json()["error"]["detail"] == {"reason": "disk"}
        assert chief.http.get("/exp").status_code == 200
        answer = chief.http.get("/readyz")
        assert answer.status_code == 503
        failing = [check for check in answer.json()["checks"] if not check["ok"]]
        assert [check["name"] for check in failing] == ["disk"]
        assert "nearly full" in failing[0]["detail"]
        assert server.errors().count("MB are free for the data folder") == 1

        os.kill(server.mongod_pid, signal.SIGSTOP)
        try:
            assert timed(chief.http, "/livez")[0] == 200
            for path, method in (("/health", "GET"), ("/health", "HEAD"), ("/readyz", "GET")):
                status, seconds = timed(chief.http, path, method)
                assert status == 503
                assert seconds < 3  # it was 5; probes wait a second, which a busy machine needs more than
        finally:
            os.kill(server.mongod_pid, signal.SIGCONT)
