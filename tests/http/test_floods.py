"""One anonymous client against everybody else: what it sends does not stop the server for others."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.load import Load, path
from tests.servers import COUNTING, Experiment, Researcher, Server

# 5.5 MiB, which decode into 1.9 million lists.
LISTS = b"[" + b"[]," * 1_900_000 + b"1]"
CALLS = 1_500


@contextmanager
def flooding(server: Server, requests: list[tuple[str, bytes]]) -> Iterator[list[int]]:
    """Send the same requests again and again; yield the statuses so far."""
    stop, begun = threading.Event(), threading.Event()
    statuses: list[int] = []

    def send() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for url, body in cycle(requests):
                if stop.is_set():
                    return
                try:
                    statuses.append(client.post(url, content=body).status_code)
                except httpx.TransportError:
                    statuses.append(0)
                begun.set()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert begun.wait(60)
        yield statuses
    finally:
        stop.set()
        thread.join()


def slowest_percent(server: Server, experiment: Experiment) -> float:
    """The 99th percentile of the seconds that a call of getaction takes, from eight connections."""
    paths = [path("getaction", experiment.id, experiment.key)] * CALLS
    answers = asyncio.run(Load([server.url], paths, clients=8).run())
    assert {answer.status for answer in answers} == {200}
    return sorted(answer.seconds for answer in answers)[int(CALLS * 0.99)]


@pytest.fixture
def experiment(researcher: Researcher) -> Experiment:
    return researcher.create(**COUNTING)


def test_bodies_of_a_million_lists_leave_others_their_answers(server: Server, experiment: Experiment) -> None:
    slowest_percent(server, experiment)  # workers and caches are warm from here on
    quiet = slowest_percent(server, experiment)
    call, value = f"/getaction/{experiment.id}", LISTS[: 250 * 2**10] + b"1]"
    requests = [
        ("/login", b'{"username": "x", "p": ' + LISTS + b"}"),
        (call, b'{"key": "wrong", "p": ' + LISTS + b"}"),
        (f"{call}/batch", b'{"key": "wrong", "items": ' + LISTS + b"}"),
        (call, b'{"key": "wrong", "context": ' + value + b"}"),
    ]
    with flooding(server, requests) as statuses:
        flooded = slowest_percent(server, experiment)
    assert set(statuses) <= {413, 401}
    # The promise is three times the quiet value; a machine shared with other work needs room. It was 80 times.
    assert flooded < max(10 * quiet, 0.25)


def memory_mb(server: Server) -> float:
    """What the server process has in memory, in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1_000


def processor_seconds(server: Server) -> float:
    """What the server process has used so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def connected(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Connections that have sent nothing so far."""
    address = urlsplit(server.url)
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection((str(address.hostname), address.port), 30))
            for _ in range(count)
        ]


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def test_bodies_that_never_end_hold_a_bounded_part_of_memory(server: Server, experiment: Experiment) -> None:
    before = memory_mb(server)
    head = f"POST /getaction/{experiment.id}/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {8 * 2**20}\r\n\r\n".encode()
    with connected(server, 40) as connections:
        for connection in connections:
            with suppress(OSError):  # refused bodies are not read to their end
                connection.sendall(head + b" " * (7 * 2**20))
        assert experiment.get_action().status_code == 200
        assert experiment.post("getaction", context={"a": "x" * 100_000}).status_code == 200
        # 280 MiB were sent, of which 64 may be held.
        assert memory_mb(server) - before < 160


def test_beyond_the_bound_the_connections_that_wait_longest_make_room(start: Callable[..., Server]) -> None:
    server = start(**{"http.max_connections": 40})
    with connected(server, 60) as connections, server.client() as client:
        assert client.get("/livez").status_code == 200
        server.wait_until(lambda: not any(map(is_open, connections[:20])))
        assert all(map(is_open, connections[30:]))


def test_a_server_without_descriptors_neither_spins_nor_floods_its_log(start: Callable[..., Server]) -> None:
    server = start()
    pid = server.process.pid
    used = len(os.listdir(f"/proc/{pid}/fd"))
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 8, hard))
    with connected(server, 60), server.client() as client:
        server.wait_until(lambda: "no connection can be accepted" in server.errors())
        spent, began = processor_seconds(server), time.monotonic()
        assert client.get("/livez").status_code == 200
        time.sleep(max(0.0, began + 2 - time.monotonic()))
        assert processor_seconds(server) - spent < 1
        assert len(server.errors()) < 10_000
        assert "Traceback" not in server.errors()
