"""The errors of the toy API: ``{"oops": ..., "code": ...}``, 422 for bad input, 418 for a coin without sides."""

from __future__ import annotations

from app.errors import Invalid, StateConflict, Unauthenticated
from app.http.errors import ErrorAnswer, ErrorTable, Problem


class NoSides(StateConflict):
    """A coin must have two sides."""


def _shape(problem: Problem) -> ErrorAnswer:
    code = type(problem.error).__name__ if problem.status < 500 else "Internal"
    headers = {"X-Oops": code}
    if isinstance(problem.error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    # A client of old that understands no statuses says so in a header.
    status = 200 if problem.headers.get("X-Toy-Errors") == "body" else problem.status
    return ErrorAnswer(status, {"oops": problem.message, "code": code}, headers)


ERRORS = ErrorTable({Invalid: 422, NoSides: 418}, _shape)
