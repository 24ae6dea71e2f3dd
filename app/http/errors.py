"""How an API answers errors: a status for each class of error, and one shape for all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Any

from tornado.web import HTTPError

from app import errors

_log = logging.getLogger("thetaloop")
INTERNAL_ERROR = "internal error; see the server log"
FAMILIES: Mapping[type[errors.ThetaloopError], int] = {
    errors.Invalid: 400,
    errors.TooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Refused: 403,
    errors.NotFound: 404,
    errors.StateConflict: 409,
    errors.TooManyRequests: 429,
    errors.ScriptError: 500,
    errors.Unavailable: 503,
}
RETRY_AFTER_SECONDS = {503: "1", 429: "300"}


class MethodNotAllowed(HTTPError):
    """The path is there, but not with this method; ``allowed`` are the methods that it has."""

    def __init__(self, allowed: str, message: str | None = None) -> None:
        super().__init__(405, message)
        self.allowed = allowed


@dataclass(frozen=True)
class Problem:
    """An error on its way to the caller, as the shape of an API sees it.

    ``headers`` are those of the request, for APIs whose answer depends on them; ``error`` is None where there is only a
    status.
    """

    status: int
    message: str
    detail: dict[str, Any]
    error: BaseException | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ErrorAnswer:
    """What is sent for a problem: a status, a body that JSON can hold, and headers beside the usual ones."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


def plain_shape(problem: Problem) -> ErrorAnswer:
    """``{"error": {"code", "message", "detail"}}``, the shape of whatever has none of its own."""
    body = {"error": {"code": problem.status, "message": problem.message, "detail": problem.detail}}
    return ErrorAnswer(problem.status, body)


@dataclass(frozen=True)
class ErrorTable:
    """The errors of one API: ``statuses`` where they differ from those of ``FAMILIES``, and the ``shape`` of all.

    The nearest class counts: a status for an error stands before that of its family.
    """

    statuses: Mapping[type[errors.ThetaloopError], int] = field(default_factory=dict)
    shape: Callable[[Problem], ErrorAnswer] = plain_shape

    def status(self, error: BaseException | None) -> int:
        """The status for an error; 500 for anything that is neither the domain's nor Tornado's."""
        if isinstance(error, HTTPError):
            return error.status_code
        for table in (self.statuses, FAMILIES):
            for kind in type(error).__mro__:
                if kind in table:
                    return table[kind]
        return 500

    def answer(
        self, error: BaseException | None, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> ErrorAnswer:
        """The answer to an error, or to a bare status; a fault of the server tells nothing of itself.

        ``headers`` are the request's. ``Retry-After`` and ``Allow`` are added where they belong.
        """
        status = self.status(error) if status is None else status
        message, detail = _told(error, status)
        answer = self.shape(Problem(status, message, detail, error, headers or {}))
        return ErrorAnswer(answer.status, answer.body, _usual_headers(error, answer.status) | dict(answer.headers))


def _told(error: BaseException | None, status: int) -> tuple[str, dict[str, Any]]:
    """The message and the detail that a caller may read."""
    if isinstance(error, errors.ThetaloopError) and not isinstance(error, errors.StartupError):
        return error.message, error.detail
    reason = responses.get(status, "Unknown")
    if isinstance(error, HTTPError) and status < 500:
        return error.log_message or error.reason or reason, {}
    return INTERNAL_ERROR if status == 500 else reason, {}


def _usual_headers(error: BaseException | None, status: int) -> dict[str, str]:
    headers = {"Retry-After": RETRY_AFTER_SECONDS[status]} if status in RETRY_AFTER_SECONDS else {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allowed
    return headers


def log_failure(method: str, path: str, error: BaseException) -> None:
    """Log faults of the server with a traceback and outages in one line; what callers and scripts did, not at all."""
    if isinstance(error, errors.Unavailable):
        _log.warning("%s %s: %s", method, path, error)
    elif isinstance(error, errors.StartupError) or not isinstance(error, errors.ThetaloopError | HTTPError):
        _log.error("%s %s failed", method, path, exc_info=error)
