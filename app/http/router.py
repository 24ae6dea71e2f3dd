"""Where a request goes: to a fast handler straight from the connection, or to Tornado's application."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass
from http.client import responses
from typing import Any, cast

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)
from tornado.web import Application, RequestHandler

from app.errors import ThetaloopError
from app.http.base import NotFoundHandler, json_line, page_headers
from app.http.body_guard import USUAL_BODY_BYTES, BodyGuard, UnreadBodies
from app.http.connections import Closable, Connections
from app.http.dialect import Dialect
from app.http.fast_handler import MAX_PARAMETERS, FastHandler, TooManyParameters
from app.http.in_flight import InFlightRequests
from app.services.disk import DataDisk
from app.services.services import Services

_ANY_CASE = re.compile(r"\(\?i:([^()]*)\)")
_GROUP = re.compile(r"\((?!\?)[^()]*\)")


@dataclass(frozen=True)
class Route:
    """A URL of an API: the whole pattern, its handler, and ``label``, what metrics call it."""

    pattern: str
    handler: type
    dialect: Dialect
    label: str


def label_of(pattern: str) -> str:
    r"""A pattern as people read it: fixed words as they are, ``*`` for each id.

    >>> label_of(r"/(?i:exp)/([0-9A-Za-z_-]{1,64})/(?i:revisions)/([0-9]{1,9})")
    '/exp/*/revisions/*'
    >>> label_of(re.escape("/api/v1") + "/projects")
    '/api/v1/projects'
    """
    return re.sub(r"\\(.)", r"\1", _GROUP.sub("*", _ANY_CASE.sub(r"\1", pattern)))


def routes_of(dialects: Sequence[Dialect]) -> list[Route]:
    """The routes of all APIs in the order in which they are tried.

    Longer prefixes come first, so that ``/api/v1`` is found before ``/api``; equal ones stay in the order given. Below
    a prefix, what has no route is the API's own to refuse.
    """
    routes = []
    for dialect in sorted(dialects, key=lambda dialect: -len(dialect.prefix)):
        prefix = re.escape(dialect.prefix)
        table = [(prefix + pattern, handler) for pattern, handler in dialect.routes]
        routes += [Route(pattern, handler, dialect, label_of(pattern)) for pattern, handler in table]
        if prefix:
            routes.append(Route(prefix + "(?:/.*)?", NotFoundHandler, dialect, ""))
    return routes


class RequestRouter(HTTPServerConnectionDelegate):
    """Sends each request its way, and tells ``in_flight`` of it.

    Fast handlers are looked for first: their patterns must match nothing that is another handler's.
    """

    def __init__(
        self,
        dialects: Sequence[Dialect],
        services: Services,
        in_flight: InFlightRequests,
        connections: Connections,
        disk: DataDisk,
        unknown: Dialect,
        **settings: Any,
    ) -> None:
        """``unknown`` answers what no API has; ``settings`` are those of Tornado's application."""
        routes = routes_of(dialects)
        self.services = services
        self.in_flight = in_flight
        self.connections = connections
        self.disk = disk
        table = [(re.compile(route.pattern), route) for route in routes]
        self._fast = [(pattern, route) for pattern, route in table if issubclass(route.handler, FastHandler)]
        # Of the application's own table Tornado asks for a handler only once the body is here.
        self._slow = [(pattern, route) for pattern, route in table if not issubclass(route.handler, FastHandler)]
        self._unknown = Route("", NotFoundHandler, unknown, "")
        self._unread = UnreadBodies(services.config.http.unread_mb * 2**20)
        self._application = Application(
            [
                (route.pattern, route.handler, {"services": services, "dialect": route.dialect, "route": route.label})
                for _, route in self._slow
            ],
            default_handler_class=NotFoundHandler,
            default_handler_args={"services": services, "dialect": unknown, "route": ""},
            in_flight=in_flight,
            disk=disk,
            log_function=self._finished,
            **settings,
        )
        self._refusal = Route("", TooManyParameters, unknown, "")
        self._tasks: set[asyncio.Task[None]] = set()
        self._date = (0, "")

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado callback: a connection waits for its next request."""
        self.connections.waits(cast(Closable, server_conn))
        return _RoutingDelegate(self, server_conn, request_conn)

    def delegate_for(
        self, start_line: RequestStartLine, headers: HTTPHeaders, server_conn: object, conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """What reads and answers this request."""
        path = start_line.path.partition("?")[0]
        for pattern, route in self._fast:
            match = pattern.fullmatch(path)
            if match is not None:
                handler: HTTPMessageDelegate = route.handler(self, route, conn, start_line, headers, match.groups())
                return self._guarded(handler, route, conn, headers) if _has_body(headers) else handler
        if start_line.path.count("&") >= MAX_PARAMETERS:
            refusal = TooManyParameters(self, self._refusal, conn, start_line, headers, ())
            return self._guarded(refusal, self._refusal, conn, headers) if _has_body(headers) else refusal
        delegate = self._application.start_request(server_conn, conn)
        if not _has_body(headers):
            return delegate
        slow = (route for pattern, route in self._slow if pattern.fullmatch(path))
        return self._guarded(delegate, next(slow, self._unknown), conn, headers)

    def _guarded(
        self, delegate: HTTPMessageDelegate, route: Route, conn: HTTPConnection, headers: HTTPHeaders
    ) -> BodyGuard:
        """The delegate behind the bounds on bodies of its route."""
        most = self.services.config.http.max_body_mb * 2**20
        limit: int | None = getattr(route.handler, "max_body_bytes", USUAL_BODY_BYTES)

        def answer(error: ThetaloopError) -> None:
            status = self._refuse(error, route, conn, headers)
            self.in_flight.finish(conn, route.dialect.name, route.label, status)

        return BodyGuard(delegate, most if limit is None else min(limit, most), self._unread, answer, conn.finish)

    def _refuse(self, error: ThetaloopError, route: Route, conn: HTTPConnection, headers: HTTPHeaders) -> int:
        """Write the answer to a request that no handler gets to see; return its status."""
        answer = route.dialect.errors.answer(error, headers=headers)
        body = json_line(answer.body)
        sent = HTTPHeaders({"Content-Type": "application/json; charset=UTF-8", "Cache-Control": "no-store"})
        sent["Content-Length"] = str(len(body))
        sent.update(page_headers(route.handler, headers.get("Origin"), self.services.config.http.allowed_origins))
        sent.update(answer.headers)
        if self.in_flight.leaving:
            sent["Connection"] = "close"
        conn.write_headers(ResponseStartLine("", answer.status, responses.get(answer.status, "Unknown")), sent, body)
        return answer.status

    def _finished(self, handler: RequestHandler) -> None:
        """Tornado callback: a handler of the application has answered, of whatever class it is."""
        dialect: Dialect | None = getattr(handler, "dialect", None)
        name, route = dialect.name if dialect else "", getattr(handler, "route", "")
        self.in_flight.finish(handler.request.connection, name, route, handler.get_status())

    def start(self, answer: Coroutine[Any, Any, None]) -> None:
        """Run the coroutine that answers a request; asyncio itself holds tasks only weakly."""
        task = asyncio.get_running_loop().create_task(answer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def date(self) -> str:
        """The time for the header ``Date``, formatted once per second."""
        second = int(time.time())
        if second != self._date[0]:
            self._date = (second, format_timestamp(second))
        return self._date[1]


def _has_body(headers: HTTPHeaders) -> bool:
    return "Content-Length" in headers or "Transfer-Encoding" in headers


class _RoutingDelegate(HTTPMessageDelegate):
    """One request: its parts are passed to the delegate that its path asks for."""

    def __init__(self, router: RequestRouter, server_conn: object, request_conn: HTTPConnection) -> None:
        self._router = router
        self._server_conn = server_conn
        self._request_conn = request_conn
        self._delegate: HTTPMessageDelegate | None = None

    def headers_received(self, start_line: object, headers: HTTPHeaders) -> Awaitable[None] | None:
        line = cast(RequestStartLine, start_line)
        self._router.connections.busy(cast(Closable, self._server_conn))
        self._router.in_flight.arrive(self._request_conn, line.method)
        self._delegate = self._router.delegate_for(line, headers, self._server_conn, self._request_conn)
        return self._delegate.headers_received(line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        assert self._delegate is not None
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        assert self._delegate is not None
        self._router.in_flight.receive(self._request_conn)
        self._delegate.finish()

    def on_connection_close(self) -> None:
        """The connection ended before the whole request was there."""
        self._router.in_flight.finish(self._request_conn, "", "", None)
        if self._delegate is not None:
            self._delegate.on_connection_close()
