"""The requests that are being answered, so that a server that ends can answer them first."""

from __future__ import annotations

import asyncio


class InFlightRequests:
    """Counts requests from their arrival to their answer; ``closing`` once no more are taken."""

    def __init__(self) -> None:
        self.closing = False
        self._requests: set[object] = set()
        self._none = asyncio.Event()
        self._none.set()

    def begin(self, request: object) -> None:
        """A request came."""
        self._requests.add(request)
        self._none.clear()

    def end(self, request: object) -> None:
        """It was answered."""
        self._requests.discard(request)
        if not self._requests:
            self._none.set()

    async def close(self) -> None:
        """Take no more, and wait until those that came are answered."""
        self.closing = True
        await self._none.wait()
