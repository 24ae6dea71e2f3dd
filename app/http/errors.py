"""Which HTTP status each error of the domain is answered with, and the one shape in which errors travel."""

from __future__ import annotations

import logging
from http.client import responses
from typing import Any

from tornado.web import HTTPError

from app import errors

_log = logging.getLogger("thetaloop")
_STATUS: dict[type[errors.ThetaloopError], int] = {
    errors.InvalidParameter: 400,
    errors.InvalidScript: 400,
    errors.NameTaken: 400,
    errors.AdviceNotOffered: 400,
    errors.KeyRefused: 401,
    errors.NotSignedIn: 401,
    errors.NotYours: 401,
    errors.ThetaNotThere: 401,
    errors.WrongPassword: 401,
    errors.AdminsOnly: 401,
    errors.ForeignOrigin: 403,
    errors.NotFound: 404,
    errors.AdviceUnknown: 404,
    errors.RewardRefused: 409,
    errors.CannotCommit: 409,
    errors.AdviceExpired: 410,
    errors.EditedMeanwhile: 412,
    errors.TooManyFailures: 429,
    errors.ScriptFailed: 500,
    errors.DrawFailed: 500,
    errors.Overloaded: 503,
    errors.StoreUnavailable: 503,
    errors.OutcomeUnknown: 503,
    errors.EngineAway: 503,
    errors.EngineLost: 503,
    errors.SandboxUnavailable: 503,
    errors.ClusterUnavailable: 503,
}
RETRY_AFTER_SECONDS = {503: "1", 429: "300"}


def status_of(error: BaseException | None) -> int:
    """The status for an error; 500 for anything that is not the domain's or Tornado's."""
    if isinstance(error, HTTPError):
        return error.status_code
    return _STATUS.get(type(error), 500) if isinstance(error, errors.ThetaloopError) else 500


def body_of(error: BaseException | None, status: int) -> dict[str, Any]:
    """``{"error": {"code", "message", "detail"}}``; of faults of our own it says nothing."""
    message, detail = responses.get(status, "Unknown"), {}
    if isinstance(error, errors.ThetaloopError):
        message, detail = error.message, error.detail
    elif isinstance(error, HTTPError) and status < 500:
        message = error.log_message or error.reason or message
    elif status == 500:
        message = "the server made a mistake; its log says which"
    return {"error": {"code": status, "message": message, "detail": detail}}


def log_failure(method: str, path: str, error: BaseException) -> None:
    """Log what is our fault with its traceback, and outages in a line; callers' faults not at all."""
    if isinstance(error, errors.ThetaloopError):
        if status_of(error) == 503:
            _log.warning("%s %s: %s", method, path, error)
    elif not isinstance(error, HTTPError):
        _log.error("%s %s failed", method, path, exc_info=error)
