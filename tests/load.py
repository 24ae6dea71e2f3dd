"""Load: many clients with a connection each, cheap enough that the server is what is busy."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

# A client whose connection broke tries to get another one for so long: servers are killed and started again.
_PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 0.02
# How long visitors look at what they got, on average.
_THINKING_SECONDS = 0.1


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


class Client:
    """One client with one connection, which is made again after it broke."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).hostname, urlsplit(url).port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> Answer:
        """Call once; the status is 0 if the connection broke."""
        if self._streams is None:
            self._streams = await _connected(*self._address)
        try:
            return await _get(*self._streams, path)
        except (OSError, asyncio.IncompleteReadError):
            self._streams[1].transport.abort()
            self._streams = None
            return Answer(0, b"")

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()


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
        client = Client(url)
        for number in self._next:
            self._answers[number] = await client.get(self._paths[number])
            async with self._progress:
                self._count += 1
                self._progress.notify_all()
        client.close()


class SteadyLoad:
    """Calls ``path(0)``, ``path(1)``, ... by some clients in a thread of their own, for as long as the block lasts.

    What a test does within the block therefore happens under load however fast the machine is; ``answered`` waits for
    progress, and ``answers`` holds every answer once the block is left.
    """

    def __init__(self, urls: Sequence[str], path: Callable[[int], str], clients: int = 32) -> None:
        self.answers: list[Answer] = []
        self._urls = urls
        self._path = path
        self._clients = clients
        self._numbers = count()
        self._stopping = False
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping = True
        self._thread.join()

    def answered(self, more: int) -> None:
        """Wait until this many more calls have been answered."""
        with self._progress:
            until = len(self.answers) + more
            assert self._progress.wait_for(lambda: len(self.answers) >= until, _PATIENCE_SECONDS)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._client(self._urls[number % len(self._urls)]))

    async def _client(self, url: str) -> None:
        client = Client(url)
        while not self._stopping:
            answer = await client.get(self._path(next(self._numbers)))
            with self._progress:
                self.answers.append(answer)
                self._progress.notify_all()
        client.close()


@dataclass
class Visit:
    """A visitor's calls: the decision asked for, then its reward; the reward of every other visit has no advice."""

    number: int
    decided: Answer = Answer(0, b"")
    rewarded: Answer = Answer(0, b"")

    @property
    def advice(self) -> str | None:
        """The advice that was given, if any came back."""
        return str(self.decided.json["advice_id"]) if self.decided.status == 200 else None

    @property
    def plain(self) -> bool:
        """Whether the reward is for an action of its own."""
        return self.number % 2 == 1


class Visitors:
    """Visitors of one experiment that come one after the other, some at once, until they are told to ``leave``.

    ``await visitors.run()`` gives all visits; ``await visitors.answered(n)`` waits for n more calls that succeed.
    """

    def __init__(self, urls: Sequence[str], exp_id: str, key: str, seed: int, at_once: int = 16) -> None:
        self._urls = urls
        self._names = exp_id, key
        self._at_once = at_once
        self._random = Random(seed)
        self._visits: list[Visit] = []
        self._count = 0
        self._progress = asyncio.Condition()
        self._leaving = False

    async def run(self) -> list[Visit]:
        """Go on until they are told to leave."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._at_once):
                group.create_task(self._come(Client(self._urls[number % len(self._urls)])))
        return self._visits

    def leave(self) -> None:
        """End the visits under way, and begin no other."""
        self._leaving = True

    async def answered(self, count: int) -> None:
        """Wait until this many more calls have succeeded."""
        until = self._count + count
        async with self._progress:
            await self._progress.wait_for(lambda: self._count >= until)

    async def _come(self, client: Client) -> None:
        while not self._leaving:
            visit = Visit(len(self._visits))
            self._visits.append(visit)
            about = {"i": visit.number}
            visit.decided = await self._call(client, "getaction", context=about)
            await asyncio.sleep(self._random.uniform(0, 2 * _THINKING_SECONDS))
            if visit.plain:
                visit.rewarded = await self._call(client, "setreward", action={"arm": "a"}, reward=about)
            elif visit.advice is not None:
                visit.rewarded = await self._call(client, "setreward", advice_id=visit.advice, reward=about)
        client.close()

    async def _call(self, client: Client, call: str, **parameters: Any) -> Answer:
        answer = await client.get(path(call, *self._names, **parameters))
        if answer.status == 200:
            async with self._progress:
                self._count += 1
                self._progress.notify_all()
        return answer


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
