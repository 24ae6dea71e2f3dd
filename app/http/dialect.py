"""What an API is to the server: names, URLs, errors, authentication. A new API is a folder that holds one of these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from app.http.auth import Authentication, CookieSession
from app.http.errors import ErrorTable

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True)
class Dialect:
    """One API.

    ``name``            what the setting ``http.dialects`` and metrics call it
    ``routes``          its URLs below the prefix as (pattern, handler); ids are groups of the pattern
    ``prefix``          what all its paths begin with, such as ``/api/v1``; whatever else is below it is answered 404 in
                        the shape of this API. Without one, paths that no API has are answered in the plain shape
    ``errors``          its statuses, and the shape of its errors
    ``authentication``  how it finds out who calls, for handlers that ask
    ``methods``, ``request_headers``  what pages of allowed origins may send, for preflights
    """

    name: str
    routes: Sequence[tuple[str, type]]
    prefix: str = ""
    errors: ErrorTable = field(default_factory=ErrorTable)
    authentication: Authentication = field(default_factory=CookieSession)
    methods: tuple[str, ...] = ("GET", "POST")
    request_headers: tuple[str, ...] = ("Content-Type",)

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f"prefix: expected a path such as /api/v1 without a slash at its end, got {self.prefix!r}")

    @cached_property
    def preflight(self) -> dict[str, str]:
        """The headers of the answer to a browser's preflight."""
        return {
            "Access-Control-Allow-Methods": ", ".join((*self.methods, "OPTIONS")),
            "Access-Control-Allow-Headers": ", ".join(self.request_headers),
            "Access-Control-Max-Age": "600",
        }
