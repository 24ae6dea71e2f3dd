"""The requests that are being answered: a server that stops waits for them, and observers hear of each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

_log = logging.getLogger("thetaloop")


@dataclass(frozen=True)
class FinishedRequest:
    """A request that is over.

    ``route`` is its path with ``*`` for ids, "" where no route matched; ``dialect`` is the API of the route.
    ``status`` is None where the connection ended before a whole answer was written. ``seconds`` count from the arrival
    of its headers until the answer was handed to the connection.
    """

    dialect: str
    route: str
    method: str
    status: int | None
    seconds: float


Observer = Callable[[FinishedRequest], None]


class InFlightRequests:
    """Every request from the arrival of its headers to its answer, by the connection object that it came with.

    ``draining`` is True once clients are to go elsewhere, ``closing`` once no more requests are taken. ``observers``
    are called with each finished request, on the event loop, so they must return at once.
    """

    def __init__(self) -> None:
        self.draining = False
        self.closing = False
        self.observers: list[Observer] = []
        self._arrived: dict[object, tuple[str, float]] = {}
        self._received: set[object] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def leaving(self) -> bool:
        """Whether the server is about to end, so that connections should not be used again."""
        return self.draining or self.closing

    def arrive(self, request: object, method: str) -> None:
        """The headers of a request are there; its body may follow."""
        self._arrived[request] = method, time.monotonic()

    def receive(self, request: object) -> None:
        """The whole request is there: from now on ``close`` waits for its answer, unless it was answered before."""
        if request in self._arrived:
            self._received.add(request)
            self._idle.clear()

    def finish(self, request: object, dialect: str, route: str, status: int | None) -> None:
        """It was answered, or its connection ended. A second call for one request does nothing."""
        arrival = self._arrived.pop(request, None)
        self._received.discard(request)
        if not self._received:
            self._idle.set()
        if arrival is not None and self.observers:
            method, since = arrival
            self._tell(FinishedRequest(dialect, route, method, status, time.monotonic() - since))

    async def close(self) -> None:
        """Take no more, and wait until those that were received are answered. Half a request is not waited for."""
        self.closing = True
        await self._idle.wait()

    def _tell(self, finished: FinishedRequest) -> None:
        for observer in self.observers:
            try:
                observer(finished)
            except Exception:
                _log.exception("an observer of requests failed")
