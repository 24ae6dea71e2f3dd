"""A server that is told to end: every call that reaches it is answered."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.load import path
from tests.servers import COUNTING, Server


class Visitor:
    """A client that does as HTTP asks: after ``Connection: close`` it sends nothing more on that connection."""

    def __init__(self, server: Server, target: str, outcomes: Counter[str], enough: asyncio.Event) -> None:
        self._enough = enough
        self._address = urlsplit(server.url).hostname, urlsplit(server.url).port
        self._request = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        self._outcomes = outcomes

    async def run(self) -> None:
        """Call until nobody listens any more."""
        while True:
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except OSError:
                return
            try:
                while await self._call(reader, writer):
                    pass
            finally:
                writer.transport.abort()

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Call once; whether the connection may be used again."""
        try:
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        except (OSError, asyncio.IncompleteReadError):
            self._outcomes["no answer"] += 1
            return False
        self._outcomes[head.split()[1]] += 1
        if self._outcomes.total() == 500:
            self._enough.set()
        return "connection: close" not in head


@pytest.mark.parametrize(("drain", "processes"), [(0.0, 1), (1.5, 1), (0.0, 2)])
def test_no_call_is_left_without_an_answer(start: Callable[..., Server], drain: float, processes: int) -> None:
    server = start(**{"server.drain_seconds": drain, "server.processes": processes})
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
    target, outcomes = path("getaction", experiment.id, experiment.key), Counter[str]()
    probes: list[tuple[int, int]] = []

    async def end(enough: asyncio.Event) -> None:
        await enough.wait()
        before = outcomes["200"]
        server.process.send_signal(signal.SIGTERM)
        if drain:
            await asyncio.sleep(drain / 2)
            with server.client() as client:
                probes.append((client.get("/readyz").status_code, client.get("/livez").status_code))
            assert outcomes["200"] > before + 32

    async def scenario() -> None:
        enough = asyncio.Event()
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(32):
                group.create_task(Visitor(server, target, outcomes, enough).run())
            group.create_task(end(enough))

    asyncio.run(scenario())
    assert server.process.wait(60) == 0
    assert outcomes.keys() <= {"200", "503"}
    assert probes == ([(503, 200)] if drain else [])
