"""Bounds on request bodies: how long each may be, and what all unfinished ones may hold together.

A body that is refused is answered at once, before it was read. What still comes of it is read and dropped for a
moment: closing a connection with unread data resets it, and the client would lose the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate

from app.errors import BodyTooLarge, Overloaded, ThetaloopError

USUAL_BODY_BYTES = 2**20
_LINGER_SECONDS = 2.0


class UnreadBodies:
    """The bodies that are not here whole yet; they hold ``limit`` bytes together at most.

    Beyond it the one that has waited longest is refused: bodies that keep coming are soon complete, and those of a
    client that has gone silent are the oldest.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._held: dict[BodyGuard, int] = {}

    def hold(self, body: BodyGuard, count: int) -> None:
        """Count ``count`` more bytes of a body."""
        self._held[body] = self._held.get(body, 0) + count
        self._total += count
        while self._total > self._limit:
            next(iter(self._held)).refuse(Overloaded())

    def release(self, body: BodyGuard) -> None:
        """The body is complete or dropped. No-op for one that is not held."""
        self._total -= self._held.pop(body, 0)


class BodyGuard(HTTPMessageDelegate):
    """Passes a request with a body on to its ``delegate``, unless the body is too long or there are too many.

    ``answer`` writes the answer to a refusal; ``close`` ends the exchange, and with it the connection if the body has
    not been read to its end.
    """

    def __init__(
        self,
        delegate: HTTPMessageDelegate,
        limit: int,
        unread: UnreadBodies,
        answer: Callable[[ThetaloopError], None],
        close: Callable[[], None],
    ) -> None:
        self._delegate: HTTPMessageDelegate | None = delegate
        self._limit = limit
        self._unread = unread
        self._answer = answer
        self._close = close
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Awaitable[None] | None:
        """Refuse a body whose stated length is too long."""
        assert self._delegate is not None
        length = headers.get("Content-Length", "")
        # More digits than any length has are left to Tornado, which refuses them.
        if length.isdecimal() and len(length) < 20 and int(length) > self._limit:
            self.refuse(BodyTooLarge(self._limit))
            if headers.get("Expect"):  # the client waits for our word: it has sent nothing of the body
                self._end()
            return None
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Count a part of the body and pass it on."""
        if self._delegate is None:
            return None
        self._received += len(chunk)
        if self._received > self._limit:
            self.refuse(BodyTooLarge(self._limit))
            return None
        self._unread.hold(self, len(chunk))
        # Holding may have refused this very body.
        delegate = cast(HTTPMessageDelegate | None, self._delegate)
        return delegate.data_received(chunk) if delegate else None

    def finish(self) -> None:
        """The body is here whole."""
        self._unread.release(self)
        if self._delegate is None:
            self._end()
        else:
            self._delegate.finish()

    def on_connection_close(self) -> None:
        """The connection ended before the body was here."""
        self._unread.release(self)
        self._cancel_timer()
        if self._delegate is not None:
            self._delegate.on_connection_close()

    def refuse(self, error: ThetaloopError) -> None:
        """Answer with the error, and drop what is held and what still comes."""
        self._unread.release(self)
        delegate, self._delegate = self._delegate, None
        if delegate is not None:
            delegate.on_connection_close()
            self._answer(error)
            self._timer = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._end)

    def _end(self) -> None:
        self._cancel_timer()
        self._close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
