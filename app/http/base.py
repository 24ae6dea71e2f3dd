"""What every handler builds on: who is signed in, who may call from where, errors; and JSON in and out for the APIs."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler

from app.domain.user import User
from app.errors import ForeignOrigin, Overloaded
from app.http.arguments import json_body
from app.http.errors import RETRY_AFTER_SECONDS, body_of, log_failure, status_of
from app.http.in_flight import InFlightRequests
from app.services.accounts import SESSION_LIFETIME
from app.services.services import Services

COOKIE = "user"
_encode = msgspec.json.Encoder().encode
# What a preflight is told.
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, If-Match",
    "Access-Control-Max-Age": "600",
}


class Handler(RequestHandler):
    """A handler of any kind: it is counted while it works, knows who is signed in, and answers our errors."""

    content_type = ""

    def initialize(self, services: Services) -> None:
        """Take what the handlers call."""
        self.services = services

    def set_default_headers(self) -> None:
        """Nobody may keep an answer, or guess that it is of another type."""
        self.set_header("Content-Type", self.content_type)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.clear_header("Server")

    def compute_etag(self) -> None:
        """None: answers are not cached, so hashing them would be wasted."""
        return None

    def prepare(self) -> Awaitable[None] | None:
        """Take no more calls once the server ends."""
        under_way: InFlightRequests = self.settings["under_way"]
        if under_way.closing:
            self.set_header("Connection", "close")
            raise Overloaded()
        under_way.begin(self)
        return None

    def on_finish(self) -> None:
        """The answer is on its way."""
        self.settings["under_way"].end(self)

    @property
    def origin_allowed(self) -> bool:
        """Whether the calling page's origin is one that an operator has allowed."""
        return self.request.headers.get("Origin") in self.services.config["http.allowed_origins"]

    @property
    def from_elsewhere(self) -> bool:
        """Whether a page of another site made the browser send this."""
        origin = self.request.headers.get("Origin")
        foreign = origin is not None and _host_of(origin) != self.request.host
        return foreign or self.request.headers.get("Sec-Fetch-Site") == "cross-site"

    async def require_user(self) -> User:
        """Who is signed in; ``NotSignedIn`` if nobody is."""
        return await self.services.accounts.signed_in(self.session_token)

    @property
    def session_token(self) -> str | None:
        """The token in the signed cookie, if it is there and not forged."""
        token = self.get_signed_cookie(COOKIE, max_age_days=SESSION_LIFETIME.days)
        return token.decode("ascii", "replace") if token else None

    def set_session(self, token: str) -> None:
        """Send the cookie."""
        secure = self.request.protocol == "https"
        self.set_signed_cookie(
            COOKIE, token, expires_days=SESSION_LIFETIME.days, httponly=True, samesite="Lax", secure=secure
        )

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the status that belongs to the error; break off an answer that has begun."""
        if self._headers_written:
            # Ended properly, half a stream of rows would pass for all of them.
            if isinstance(self.request.connection, HTTP1Connection):
                self.request.connection.stream.close()
            self.on_finish()
            return
        error = kwargs.get("exc_info", (None, None, None))[1]
        super().send_error(self.status_for(error) if error else status_code, **kwargs)

    def status_for(self, error: BaseException) -> int:
        """The status that an error is answered with."""
        return status_of(error)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what deserves it."""
        log_failure(str(self.request.method), self.request.path, value)


class JsonHandler(Handler):
    """A handler that speaks JSON. ``public`` handlers are for any page, without cookies."""

    public = False
    content_type = "application/json; charset=UTF-8"

    def prepare(self) -> None:
        """Say which pages may read the answer, and refuse those that may not even ask."""
        self._admit_page()
        super().prepare()

    def _admit_page(self) -> None:
        if self.public:
            self.set_header("Access-Control-Allow-Origin", "*")
        else:
            self._admit_origin()

    def options(self, *path: str) -> None:
        """The preflight of a browser."""
        for name, value in PREFLIGHT.items():
            self.set_header(name, value)
        self.set_status(204)

    def _admit_origin(self) -> None:
        origin = self.request.headers.get("Origin")
        if origin is not None and self.origin_allowed:
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Allow-Credentials", "true")
            self.add_header("Vary", "Origin")
            return
        if self.from_elsewhere and self.get_cookie(COOKIE) is not None:
            raise ForeignOrigin(origin or "another site")

    # Reading -------------------------------------------------------------------------------------------------------

    def json_body(self) -> dict[str, Any]:
        """The body as a JSON object, whatever its Content-Type says."""
        return json_body(self.request.body)

    # Answering -----------------------------------------------------------------------------------------------------

    def send(self, value: Any) -> None:
        """Answer with JSON; numbers that JSON does not have become null."""
        self.finish(_encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the one shape of errors."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        self._restore_cors()
        if status_code in RETRY_AFTER_SECONDS:
            self.set_header("Retry-After", RETRY_AFTER_SECONDS[status_code])
        self.finish(_encode(body_of(error, status_code)))

    def _restore_cors(self) -> None:
        """An error clears the headers; a page must still be able to read it."""
        try:
            self._admit_page()
        except ForeignOrigin:
            pass


def _host_of(origin: str) -> str:
    """The host and port of an origin; nothing for what is no origin."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


class NotFoundHandler(JsonHandler):
    """Whatever no API knows."""

    def prepare(self) -> None:
        """Every method is answered 404."""
        raise HTTPError(404, f"there is nothing at {self.request.path}")
