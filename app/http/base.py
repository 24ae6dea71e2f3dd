"""What every handler builds on: who calls, from which pages, errors; and JSON in and out for the APIs."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler

from app.domain.experiment import Experiment
from app.domain.user import User
from app.errors import ForeignOrigin, Overloaded
from app.http.auth import SESSION_COOKIE, Caller, CookieSession, signed_in
from app.http.bodies import Fields, json_body
from app.http.body_guard import USUAL_BODY_BYTES
from app.http.dialect import Dialect
from app.http.errors import MethodNotAllowed, log_failure
from app.http.in_flight import InFlightRequests
from app.services.accounts import SESSION_LIFETIME
from app.services.disk import DataDisk
from app.services.services import Services

_CHANGING = frozenset({"POST", "PUT", "DELETE", "PATCH"})
_encode = msgspec.json.Encoder().encode


class Handler(RequestHandler):
    """A handler of any kind: it knows who calls, and answers errors as its API does.

    ``max_body_bytes`` bounds the bodies of its route; None stands for the setting ``http.max_body_mb``.
    ``writes`` are the methods that are refused while the disk is full.
    """

    max_body_bytes: ClassVar[int | None] = USUAL_BODY_BYTES
    writes: ClassVar[frozenset[str]] = frozenset({"POST", "PUT", "PATCH"})
    content_type = ""

    def initialize(self, services: Services, dialect: Dialect, route: str) -> None:
        """Take what handlers call, the API of the URL, and the URL as metrics call it."""
        self.services = services
        self.dialect = dialect
        self.route = route

    def set_default_headers(self) -> None:
        """Forbid caching, and guessing that an answer is of another type."""
        self.set_header("Content-Type", self.content_type)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.clear_header("Server")

    def flush(self, include_footers: bool = False) -> Future[None]:
        """Send what was written; once the server ends, the headers tell the client to use another connection."""
        if self._in_flight.leaving and not self._headers_written:
            self.set_header("Connection", "close")
        return super().flush(include_footers)

    def compute_etag(self) -> None:
        """Return None: answers are not cached, so hashing them would be wasted."""
        return None

    def prepare(self) -> Awaitable[None] | None:
        """Raise ``Overloaded`` once the server stops, and ``DiskFull`` for what would write to a full disk."""
        if self._in_flight.closing:
            raise Overloaded()
        if self.request.method in self.writes:
            disk: DataDisk = self.settings["disk"]
            disk.require_room()
        return None

    @property
    def _in_flight(self) -> InFlightRequests:
        in_flight: InFlightRequests = self.settings["in_flight"]
        return in_flight

    # Who calls ------------------------------------------------------------------------------------------------------

    @property
    def request_headers(self) -> Mapping[str, str]:
        """The headers of the request; names in any case."""
        return self.request.headers

    @property
    def origin_allowed(self) -> bool:
        """Whether the calling page's origin is one that an operator has allowed."""
        return self.request.headers.get("Origin") in self._allowed_origins

    @property
    def _allowed_origins(self) -> list[str]:
        return self.services.config.http.allowed_origins

    @property
    def from_elsewhere(self) -> bool:
        """Whether a page of another site made the browser send this."""
        origin = self.request.headers.get("Origin")
        foreign = origin is not None and _host_of(origin) != self.request.host
        return foreign or self.request.headers.get("Sec-Fetch-Site") == "cross-site"

    async def caller(self, scope: str = "") -> Caller:
        """Return who calls, as the API identifies callers.

        Raises an ``Unauthenticated`` error for nobody, and ``ScopeMissing`` for a caller without the scope.
        """
        caller = await self.dialect.authentication.identify(self)
        if scope:
            caller.require(scope)
        return caller

    async def require_user(self) -> User:
        """Return the account that is signed in; raise ``NotSignedIn`` if there is none."""
        return signed_in(await self.caller())

    async def owned(self, exp_id: str) -> Experiment:
        """Return an experiment of whoever is signed in; raise ``NotYours`` for any other."""
        return await self.services.experiments.find(await self.require_user(), exp_id)

    @property
    def session_token(self) -> str | None:
        """The token in the signed cookie; None if it is missing or forged."""
        # Version 1 of the format is no longer written; Tornado would log what it holds.
        token = self.get_signed_cookie(SESSION_COOKIE, max_age_days=SESSION_LIFETIME.days, min_version=2)
        return token.decode("ascii", "replace") if token else None

    def set_session(self, token: str) -> None:
        """Send the cookie of a session."""
        secure = self.request.protocol == "https"
        self.set_signed_cookie(
            SESSION_COOKIE, token, expires_days=SESSION_LIFETIME.days, httponly=True, samesite="Lax", secure=secure
        )

    def clear_session(self) -> None:
        """Have the browser forget the cookie; the session itself goes on."""
        self.clear_cookie(SESSION_COOKIE)

    # Errors ---------------------------------------------------------------------------------------------------------

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the status that belongs to the error; break the connection if the answer has begun."""
        if self._headers_written:
            # Ended properly, half a stream of rows would pass for all of them.
            if isinstance(self.request.connection, HTTP1Connection):
                self.request.connection.stream.close()
            self._in_flight.finish(self.request.connection, self.dialect.name, self.route, None)
            return
        error = kwargs.get("exc_info", (None, None, None))[1]
        super().send_error(self.status_for(error) if error else status_code, **kwargs)

    def status_for(self, error: BaseException) -> int:
        """The status that an error is answered with."""
        return self.dialect.errors.status(error)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log faults of the server and outages."""
        log_failure(str(self.request.method), self.request.path, value)


class JsonHandler(Handler):
    """A handler that reads and answers JSON. ``public`` handlers are for pages of any origin, without cookies."""

    public = False
    content_type = "application/json; charset=UTF-8"

    def prepare(self) -> None:
        """Name the origin that may read the answer; refuse what other sites' pages may not send."""
        self._admit_page()
        super().prepare()

    def _admit_page(self) -> None:
        for name, value in page_headers(type(self), self.request.headers.get("Origin"), self._allowed_origins).items():
            self.set_header(name, value)
        if not self.public and not self.origin_allowed:
            self._refuse_elsewhere()

    def options(self, *path: str) -> None:
        """Answer the preflight of a browser."""
        for name, value in self.dialect.preflight.items():
            self.set_header(name, value)
        self.set_status(204)

    def _refuse_elsewhere(self) -> None:
        """Refuse another site's page that sends the session cookie, or that would have the browser get one."""
        if not isinstance(self.dialect.authentication, CookieSession) or not self.from_elsewhere:
            return
        if self.request.method in _CHANGING or self.get_cookie(SESSION_COOKIE) is not None:
            raise ForeignOrigin(self.request.headers.get("Origin") or "another site")

    # Reading -------------------------------------------------------------------------------------------------------

    def json_body(self) -> Fields:
        """The body as a JSON object, whatever its Content-Type says."""
        return json_body(self.request.body)

    # Answering -----------------------------------------------------------------------------------------------------

    def send(self, value: Any) -> None:
        """Answer with JSON; numbers that JSON does not have become null."""
        self.finish(json_line(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error in the shape of the API."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if status_code == 405 and not isinstance(error, MethodNotAllowed):
            error = MethodNotAllowed(self._allowed)
        self._restore_cors()
        answer = self.dialect.errors.answer(error, status_code, self.request_headers)
        self.set_status(answer.status)
        for name, value in answer.headers.items():
            self.set_header(name, value)
        self.finish(json_line(answer.body))

    @property
    def _allowed(self) -> str:
        """The methods of this handler, for the header ``Allow``."""
        names = {name: name.lower() for name in self.SUPPORTED_METHODS}
        there = [name for name, verb in names.items() if getattr(type(self), verb) is not getattr(RequestHandler, verb)]
        return ", ".join(there)

    def _restore_cors(self) -> None:
        """An error clears the headers; a page must still be able to read it."""
        try:
            self._admit_page()
        except ForeignOrigin:
            pass


def page_headers(handler: type, origin: str | None, allowed: Sequence[str]) -> dict[str, str]:
    """The headers that let a page read an answer: any page for ``public`` handlers, else those of ``allowed`` origins.

    Only the latter may send the sign-in cookie.
    """
    if getattr(handler, "public", False):
        return {"Access-Control-Allow-Origin": "*"}
    if origin is None or origin not in allowed:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}


def json_line(value: Any) -> bytes:
    """A value as JSON that ends in a line break."""
    return _encode(value) + b"\n"


def _host_of(origin: str) -> str:
    """The host and port of an origin; nothing for what is no origin."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


class NotFoundHandler(JsonHandler):
    """What no route matches."""

    def prepare(self) -> None:
        """Answer every method with 404."""
        raise HTTPError(404, f"there is nothing at {self.request.path}")
