"""The short way through Tornado, for the calls that web pages make by the thousand.

A ``RequestHandler`` prepares for templates, cookies and much else that a public call has no use for, which costs about
as much as reading the request. Here a call is Tornado's ``HTTPMessageDelegate`` itself: it gets the request's parts as
they arrive and writes one answer. Whatever has no route here goes to the application, as ever.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from http.client import responses
from typing import Any, ClassVar, cast

import msgspec
from tornado.escape import parse_qs_bytes
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)
from tornado.web import Application, HTTPError

from app.errors import Overloaded
from app.http.arguments import json_body
from app.http.base import PREFLIGHT
from app.http.errors import RETRY_AFTER_SECONDS, body_of, log_failure, status_of
from app.http.in_flight import InFlightRequests
from app.services.services import Services

_MAX_PARAMETERS = 1_000
_OK = ResponseStartLine("", 200, "OK")
_encode = msgspec.json.Encoder().encode


class FastHandler(HTTPMessageDelegate):
    """One call that any page may make, without cookies: a subclass has ``get`` or ``post`` or both."""

    get: ClassVar[Callable[..., Awaitable[None]] | None] = None
    post: ClassVar[Callable[..., Awaitable[None]] | None] = None

    def __init__(
        self,
        reception: RequestRouter,
        connection: HTTPConnection,
        start_line: RequestStartLine,
        headers: HTTPHeaders,
        parts: tuple[str, ...],
    ) -> None:
        self.services = reception.services
        self.headers = headers
        self.body = b""
        self.method = start_line.method
        self.path, _, self.query = start_line.path.partition("?")
        self._reception = reception
        self._connection = connection
        self._parts = parts
        self._chunks: list[bytes] = []
        self._answered = False

    # Tornado's side -------------------------------------------------------------------------------------------------

    def headers_received(self, start_line: object, headers: HTTPHeaders) -> None:
        """They are known already."""

    def data_received(self, chunk: bytes) -> None:
        """A part of the body."""
        self._chunks.append(chunk)

    def finish(self) -> None:
        """The request is there: answer it."""
        self.body = b"".join(self._chunks)
        self._reception.under_way.begin(self)
        self._reception.start(self._answer())

    def on_connection_close(self) -> None:
        """The caller is gone; what it asked for is done all the same, as it may have been done already."""

    # Reading --------------------------------------------------------------------------------------------------------

    def query_parameters(self) -> dict[str, Any]:
        """The parameters in the query string, the last of each name."""
        try:
            given = parse_qs_bytes(self.query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
            return {name: values[-1].decode() for name, values in given.items()}
        except UnicodeDecodeError:
            raise HTTPError(400, "the query string is not UTF-8") from None
        except ValueError:
            raise HTTPError(400, f"expected at most {_MAX_PARAMETERS:,} parameters") from None

    def json_body(self) -> dict[str, Any]:
        """The body as a JSON object, whatever its Content-Type says."""
        return json_body(self.body)

    # Answering ------------------------------------------------------------------------------------------------------

    async def _answer(self) -> None:
        try:
            if self._reception.under_way.closing:
                raise Overloaded()
            if self.method == "OPTIONS":
                return self._write(204, b"", PREFLIGHT)
            verb = {"GET": self.get, "POST": self.post}.get(self.method)
            if verb is None:
                raise HTTPError(405)
            await verb(*self._parts)
        except Exception as error:
            log_failure(self.method, self.path, error)
            if not self._answered:
                self._refuse(error)
        finally:
            self._reception.under_way.end(self)

    def send(self, value: Any) -> None:
        """Answer with JSON; numbers that JSON does not have become null."""
        self._write(200, _encode(value))

    def _refuse(self, error: Exception) -> None:
        status = status_of(error)
        extra = {"Retry-After": RETRY_AFTER_SECONDS[status]} if status in RETRY_AFTER_SECONDS else {}
        if self._reception.under_way.closing:
            extra["Connection"] = "close"
        self._write(status, _encode(body_of(error, status)), extra)

    def _write(self, status: int, body: bytes, extra: Mapping[str, str] | None = None) -> None:
        self._answered = True
        headers = HTTPHeaders()
        headers["Content-Type"] = "application/json; charset=UTF-8"
        headers["Cache-Control"] = "no-store"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Date"] = self._reception.date()
        if status != 204:
            headers["Content-Length"] = str(len(body))
        for name, value in (extra or {}).items():
            headers[name] = value
        line = _OK if status == 200 else ResponseStartLine("", status, responses.get(status, "Unknown"))
        self._connection.write_headers(line, headers, body if self.method != "HEAD" else None)
        self._connection.finish()


class RequestRouter(HTTPServerConnectionDelegate):
    """Sends each request its way: to a public handler, or to the application."""

    def __init__(
        self,
        routes: list[tuple[str, type[FastHandler]]],
        application: Application,
        services: Services,
        under_way: InFlightRequests,
    ) -> None:
        self.services = services
        self.under_way = under_way
        self.application = application
        self._routes = [(re.compile(pattern), handler) for pattern, handler in routes]
        self._tasks: set[asyncio.Task[None]] = set()
        self._date = (0, "")

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado's word that a request begins."""
        return _RoutingDelegate(self, server_conn, request_conn)

    def find(self, start_line: RequestStartLine, headers: HTTPHeaders, conn: HTTPConnection) -> FastHandler | None:
        """The handler of a public call; None for any other."""
        path = start_line.path.partition("?")[0]
        for pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match is not None:
                return handler(self, conn, start_line, headers, match.groups())
        return None

    def start(self, answer: Any) -> None:
        """Work on an answer; the loop itself holds tasks only weakly."""
        task = asyncio.get_running_loop().create_task(answer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def date(self) -> str:
        """The time for the header ``Date``, written once per second."""
        second = int(time.time())
        if second != self._date[0]:
            self._date = (second, format_timestamp(second))
        return self._date[1]


class _RoutingDelegate(HTTPMessageDelegate):
    """A request of which nothing is known yet."""

    def __init__(self, reception: RequestRouter, server_conn: object, request_conn: HTTPConnection) -> None:
        self._reception = reception
        self._server_conn = server_conn
        self._request_conn = request_conn
        self._delegate: HTTPMessageDelegate | None = None

    def headers_received(self, start_line: object, headers: HTTPHeaders) -> Awaitable[None] | None:
        line = cast(RequestStartLine, start_line)
        found: HTTPMessageDelegate | None = self._reception.find(line, headers, self._request_conn)
        if found is None:
            found = self._reception.application.start_request(self._server_conn, self._request_conn)
        self._delegate = found
        return found.headers_received(line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        assert self._delegate is not None
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        assert self._delegate is not None
        self._delegate.finish()

    def on_connection_close(self) -> None:
        if self._delegate is not None:
            self._delegate.on_connection_close()
