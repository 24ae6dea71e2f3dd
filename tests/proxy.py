"""A proxy between a server and mongod that reads which commands pass, and can do harm at any of them.

``proxy.at("commitTransaction", 2, "after", harm)`` awaits ``harm()`` when mongod has answered the second commit from
now on and before the answer goes on; with ``"before"``, when the command has come and before mongod gets it. ``harm``
may cut the connections: then a command that was held back never arrives, and an answer that was held back is lost.
What had already reached mongod is done by the time ``quiet`` returns.
"""

from __future__ import annotations

import asyncio
import shutil
import struct
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote, urlsplit

_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
Harm = Callable[[], Awaitable[None]]


@dataclass
class _Moment:
    command: str
    left: int
    when: str
    harm: Harm


@dataclass(eq=False)
class _Link:
    """One connection: the client's streams, mongod's streams, and the requests that mongod has not answered."""

    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    mongod: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    open: set[int] = field(default_factory=set)
    late: dict[int, Harm] = field(default_factory=dict)
    cut: bool = False


class Proxy:
    """Used with ``async with``; clients connect to ``uri``."""

    def __init__(self, mongod_uri: str) -> None:
        self._mongod = unquote(urlsplit(mongod_uri).netloc)
        self._folder = Path(tempfile.mkdtemp(prefix="proxy-"))
        self._socket = self._folder / "s.sock"
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moments: list[_Moment] = []
        self.dark = False

    @property
    def uri(self) -> str:
        """Where clients connect; they must not learn of the real address and go there."""
        return f"mongodb://{quote(str(self._socket), safe='')}/?directConnection=true&heartbeatFrequencyMS=500"

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_unix_server(self._welcome, self._socket)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: object, at: TracebackType | None) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        shutil.rmtree(self._folder)

    def at(self, command: str, nth: int, when: str, harm: Harm) -> None:
        """Do harm at the ``nth`` such command from now on, counted from 1."""
        self._moments.append(_Moment(command, nth, when, harm))

    def forget(self) -> int:
        """No harm that has not been done yet will be done; how much that was."""
        left = len(self._moments)
        self._moments.clear()
        return left

    def cut(self) -> None:
        """Break every connection, as far as clients can see."""
        for link in self._links:
            link.cut = True
            link.client[1].transport.abort()
            if not link.open:
                link.mongod[1].transport.abort()

    async def quiet(self) -> None:
        """Wait until mongod has answered all that it got on connections which have been cut."""
        while broken := [link for link in self._links if link.cut]:
            await asyncio.wait([task for task in self._tasks if task.get_name() in {str(id(link)) for link in broken}])

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.dark:
            writer.transport.abort()
            return
        link = _Link((reader, writer), await asyncio.open_unix_connection(self._mongod))
        self._links.add(link)
        for pump in (self._requests(link), self._answers(link)):
            task = asyncio.create_task(pump, name=str(id(link)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _requests(self, link: _Link) -> None:
        try:
            while True:
                head, body = await _frame(link.client[0])
                name = _command(head, body)
                number = _HEADER.unpack(head)[1]
                for moment in self._hit(name):
                    if moment.when == "after":
                        link.late[number] = moment.harm
                    else:
                        await moment.harm()
                if link.cut:
                    return
                if name and name not in ("hello", "endSessions"):
                    link.open.add(number)
                link.mongod[1].write(head + body)
        except (OSError, asyncio.IncompleteReadError):
            if not link.open:
                link.mongod[1].transport.abort()

    async def _answers(self, link: _Link) -> None:
        try:
            while True:
                head, body = await _frame(link.mongod[0])
                answered = _HEADER.unpack(head)[2]
                if harm := link.late.pop(answered, None):
                    await harm()
                link.open.discard(answered)
                if not link.cut:
                    link.client[1].write(head + body)
                elif not link.open:
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._links.discard(link)
            link.client[1].transport.abort()
            link.mongod[1].transport.abort()

    def _hit(self, name: str) -> list[_Moment]:
        """The moments that have come with this command."""
        hit = []
        for moment in list(self._moments):
            if moment.command == name:
                moment.left -= 1
                if not moment.left:
                    self._moments.remove(moment)
                    hit.append(moment)
        return hit


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(_HEADER.size)
    return head, await reader.readexactly(_HEADER.unpack(head)[0] - _HEADER.size)


def _command(head: bytes, body: bytes) -> str:
    """The name of an OP_MSG's command: the first key of its document, which follows the flags and the section's kind.

    A write inside a transaction is named by what it does, like any other.
    """
    if _HEADER.unpack(head)[3] != _OP_MSG:
        return ""
    start = 4 + 1 + 4 + 1  # flags, kind of section, size of document, type of value
    return body[start : body.index(b"\0", start)].decode()
