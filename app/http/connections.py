"""The open connections: which of them wait for a request, and since when."""

from __future__ import annotations

import time
from typing import Protocol


class Closable(Protocol):
    """What Tornado calls the server's side of a connection."""

    @property
    def stream(self) -> ConnectionStream:
        """What it reads from."""


class ConnectionStream(Protocol):
    """The socket of a connection."""

    def close(self) -> None:
        """Close it; whoever reads from it is told."""


class Connections:
    """At most ``limit`` connections; beyond it the one that has waited longest for a request makes room.

    A connection waits from its beginning, or from its last answer, until the headers of its next request are here.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[Closable] = set()
        self._waiting: dict[Closable, float] = {}

    def waits(self, connection: Closable) -> None:
        """It waits for a request from now on. A new one is itself the one that is closed if all others are busy."""
        self._open.add(connection)
        self._waiting.pop(connection, None)
        self._waiting[connection] = time.monotonic()
        if len(self._open) > self._limit:
            self.close_longest_idle()

    def busy(self, connection: Closable) -> None:
        """The headers of a request are here."""
        self._waiting.pop(connection, None)

    def closed(self, connection: Closable) -> None:
        """It is gone."""
        self._waiting.pop(connection, None)
        self._open.discard(connection)

    def close_longest_idle(self, most: int = 1) -> None:
        """Close those that have waited longest."""
        for connection in list(self._waiting)[:most]:
            del self._waiting[connection]
            self._open.discard(connection)
            connection.stream.close()

    def waited_less(self, seconds: float) -> bool:
        """Whether any connection is busy, or has had an answer within so many seconds."""
        since = time.monotonic() - seconds
        return len(self._open) > len(self._waiting) or any(began > since for began in self._waiting.values())
