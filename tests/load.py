"""Load: many clients with a connection each, cheap enough that the server is what is busy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

# A client whose connection broke tries to get another one for so long: servers are killed and started again.
_PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 0.02


@dataclass(frozen=True)
class Answer:
    """What came back for one call; the status is 0 where the connection broke before an answer."""

    status: int
    content: bytes
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.content)

    @property
    def refused(self) -> bool:
        """Whether the server was too busy to begin with it."""
        return self.status == 503 and "too many calls are waiting" in self.json["error"]["message"]


class Load:
    """GET calls for ``paths``, dealt out to ``clients`` that keep one connection each to one of the ``urls``.

    ``await load.run()`` gives the answers in the order of the paths; ``await load.answered(n)`` lets a test do harm
    after n of them.
    """

    def __init__(self, urls: Sequence[str], paths: Sequence[str], clients: int = 64) -> None:
        self._urls = urls
        self._paths = paths
        self._clients = min(clients, len(paths))
        self._next = iter(range(len(paths)))
        self._answers: list[Answer] = [Answer(0, b"")] * len(paths)
        self._count = 0
        self._progress = asyncio.Condition()

    async def run(self) -> list[Answer]:
        """Send everything and wait for all answers."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._client(self._urls[number % len(self._urls)]))
        return self._answers

    async def answered(self, count: int) -> None:
        """Wait until this many calls have come to their end."""
        async with self._progress:
            await self._progress.wait_for(lambda: self._count >= count)

    async def _client(self, url: str) -> None:
        host, port = urlsplit(url).hostname, urlsplit(url).port
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for number in self._next:
            if streams is None:
                streams = await _connected(host, port)
            try:
                self._answers[number] = await _get(*streams, self._paths[number])
            except (OSError, asyncio.IncompleteReadError):
                streams[1].transport.abort()
                streams = None
            async with self._progress:
                self._count += 1
                self._progress.notify_all()
        if streams is not None:
            streams[1].close()


async def _connected(host: str | None, port: int | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        try:
            return await asyncio.open_connection(host, port)
        except OSError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_RETRY_SECONDS)


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> Answer:
    started = asyncio.get_running_loop().time()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    content = await reader.readexactly(length)
    return Answer(status, content, asyncio.get_running_loop().time() - started)


def hammer(urls: Sequence[str], paths: Sequence[str], clients: int = 64) -> list[Answer]:
    """Send all calls at once, through as many clients, and wait for the answers.

    Calls that were refused because too many wait are sent again, as the refusal asks for: it means that nothing of
    them was kept. A machine that is busy with other things gets there as well.
    """

    async def whole() -> list[Answer]:
        answers = await Load(urls, paths, clients).run()
        while again := [number for number, answer in enumerate(answers) if answer.refused]:
            resent = await Load(urls, [paths[number] for number in again], clients).run()
            for number, answer in zip(again, resent, strict=True):
                answers[number] = answer
        return answers

    return asyncio.run(whole())


def path(call: str, exp_id: str, key: str, **parameters: Any) -> str:
    """``/getaction/EXP_ID?key=...``; objects are sent as JSON."""
    given = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    return f"/{call}/{exp_id}?{urlencode({'key': key, **given})}"
