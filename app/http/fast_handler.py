"""The short way through Tornado, for calls that web pages make a thousand times a second.

A ``RequestHandler`` prepares for templates, cookies and much else that a public call does not use, which costs about as
much as reading the request. A fast handler is Tornado's ``HTTPMessageDelegate`` itself: it gets the request's parts as
they arrive and writes one answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http.client import responses
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from tornado.escape import parse_qs_bytes
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import HTTPError

from app.errors import Overloaded
from app.http.bodies import Fields, json_body
from app.http.body_guard import USUAL_BODY_BYTES
from app.http.errors import MethodNotAllowed, log_failure

if TYPE_CHECKING:
    from app.http.router import RequestRouter, Route

MAX_PARAMETERS = 1_000
_OK = ResponseStartLine("", 200, "OK")
_encode = msgspec.json.Encoder().encode


class FastHandler(HTTPMessageDelegate):
    """One call that any page may make, without cookies: a subclass has ``get`` or ``post`` or both.

    A call whose caller goes away is carried out all the same, as part of it may have been done already.
    ``max_body_bytes`` bounds the bodies of its route; None stands for the setting ``http.max_body_mb``.
    ``writes`` are the methods that are refused while the disk is full.
    """

    max_body_bytes: ClassVar[int | None] = USUAL_BODY_BYTES
    writes: ClassVar[frozenset[str]] = frozenset({"GET", "POST"})
    get: ClassVar[Callable[..., Awaitable[None]] | None] = None
    post: ClassVar[Callable[..., Awaitable[None]] | None] = None
    session_token = None
    public = True

    def __init__(
        self,
        router: RequestRouter,
        route: Route,
        connection: HTTPConnection,
        start_line: RequestStartLine,
        headers: HTTPHeaders,
        parts: tuple[str, ...],
    ) -> None:
        self.services = router.services
        self.dialect = route.dialect
        self.request_headers = headers
        self.body = b""
        self.method = start_line.method
        self.path, _, self.query = start_line.path.partition("?")
        self._router = router
        self._route = route
        self._connection = connection
        self._parts = parts
        self._chunks: list[bytes] = []
        self._status: int | None = None

    # Tornado's callbacks --------------------------------------------------------------------------------------------

    def headers_received(self, start_line: object, headers: HTTPHeaders) -> None:
        """No-op: the constructor has the headers."""

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body."""
        self._chunks.append(chunk)

    def finish(self) -> None:
        """The request is complete: start answering it."""
        self.body = b"".join(self._chunks)
        self._router.start(self._answer())

    def on_connection_close(self) -> None:
        """No-op: the request did not arrive whole, so nothing was started."""

    # Reading --------------------------------------------------------------------------------------------------------

    def query_parameters(self) -> dict[str, Any]:
        """The parameters in the query string, the last of each name; ``HTTPError`` 400 for a malformed one."""
        try:
            given = parse_qs_bytes(self.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
            return {name: values[-1].decode() for name, values in given.items()}
        except UnicodeDecodeError:
            raise HTTPError(400, "the query string is not UTF-8") from None
        except ValueError:
            raise HTTPError(400, f"expected at most {MAX_PARAMETERS:,} parameters") from None

    def json_body(self, *names: str, given: Mapping[str, Any] | None = None) -> Fields:
        """The body as a JSON object, whatever its Content-Type says; see ``app.http.bodies.json_body``."""
        return json_body(self.body, *names, given=given)

    # Answering ------------------------------------------------------------------------------------------------------

    async def _answer(self) -> None:
        try:
            if self._router.in_flight.closing:
                raise Overloaded()
            if self.method == "OPTIONS":
                return self._write(204, b"", self.dialect.preflight)
            verb = self._verb
            if self.method in self.writes:
                self._router.disk.require_room()
            await verb(*self._parts)
        except Exception as error:
            log_failure(self.method, self.path, error)
            if self._status is None:
                self._refuse(error)
        finally:
            self._router.in_flight.finish(self._connection, self.dialect.name, self._route.label, self._status)

    @property
    def _verb(self) -> Callable[..., Awaitable[None]]:
        """What answers the method of the request; raise ``MethodNotAllowed`` if nothing does."""
        verb = {"GET": self.get, "POST": self.post}.get(self.method)
        if verb is None:
            raise MethodNotAllowed(self._allowed)
        return verb

    @property
    def _allowed(self) -> str:
        return ", ".join(name.upper() for name in ("get", "post") if getattr(self, name)) + ", OPTIONS"

    def send(self, value: Any) -> None:
        """Answer with JSON; numbers that JSON does not have become null."""
        self._write(200, _encode(value) + b"\n")

    def error_body(self, error: BaseException) -> Any:
        """The body that an error is answered with, for one item of a batch; the error is logged if it must be."""
        log_failure(self.method, self.path, error)
        return self.dialect.errors.answer(error, headers=self.request_headers).body

    def _refuse(self, error: Exception) -> None:
        answer = self.dialect.errors.answer(error, headers=self.request_headers)
        self._write(answer.status, _encode(answer.body) + b"\n", answer.headers)

    def _write(self, status: int, body: bytes, extra: Mapping[str, str] | None = None) -> None:
        self._status = status
        headers = HTTPHeaders()
        headers["Content-Type"] = "application/json; charset=UTF-8"
        headers["Cache-Control"] = "no-store"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Date"] = self._router.date()
        if self._router.in_flight.leaving:
            headers["Connection"] = "close"
        if status != 204:
            headers["Content-Length"] = str(len(body))
        for name, value in (extra or {}).items():
            headers[name] = value
        line = _OK if status == 200 else ResponseStartLine("", status, responses.get(status, "Unknown"))
        self._connection.write_headers(line, headers, body if self.method != "HEAD" else None)
        self._connection.finish()


class TooManyParameters(FastHandler):
    """A call with more parameters than Tornado reads: it would answer it without a body and without our headers."""

    @property
    def _verb(self) -> Callable[..., Awaitable[None]]:
        raise HTTPError(400, f"expected at most {MAX_PARAMETERS:,} parameters")
