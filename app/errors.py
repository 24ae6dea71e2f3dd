"""Everything that can go wrong in the domain, each error writing its own sentence from what it is given.

Every error belongs to a family (``Invalid``, ``NotFound``, ``Unavailable``, ...). An API maps families, and single
errors where it differs, to its statuses (``app.http.errors``). Sentences name no API: no path, no parameter of one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any


class ThetaloopError(Exception):
    """The base of every error that a user may see; ``message`` is a whole sentence, ``detail`` is for programs."""

    def __init__(self, message: str, /, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


# Families ----------------------------------------------------------------------------------------------------------


class StartupError(ThetaloopError):
    """The server cannot start, or a part of it cannot."""


class Invalid(ThetaloopError):
    """What the caller gave is malformed, out of its range or does not fit."""


class TooLarge(ThetaloopError):
    """A part of what the caller sent is larger than the call takes."""


class Unauthenticated(ThetaloopError):
    """The caller did not prove who they are."""


class Refused(ThetaloopError):
    """The caller is known, or need not be, but may not do this."""


class NotFound(ThetaloopError):
    """Something named in a call does not exist."""


class StateConflict(ThetaloopError):
    """The call does not fit the present state: repeating it unchanged is answered the same."""


class TooManyRequests(ThetaloopError):
    """The caller must slow down."""


class ScriptError(ThetaloopError):
    """A script of an experiment failed."""


class Unavailable(ThetaloopError):
    """The server, or something it depends on, cannot answer now; the call may be sent again."""


# Starting up -------------------------------------------------------------------------------------------------------


class ConfigurationError(StartupError):
    """A setting is unknown, malformed or missing."""


class MongodUnavailable(StartupError):
    """No private mongod can be started, adopted or reached."""


class NotAReplicaSet(StartupError):
    """The MongoDB that was configured cannot run transactions."""

    def __init__(self) -> None:
        super().__init__(
            "mongodb.uri must name a replica set (one member is enough): this MongoDB is a standalone server, "
            "which has no transactions. Start mongod with --replSet and run rs.initiate() once."
        )


class SandboxUnavailable(Unavailable):
    """The process that runs scripts cannot be started."""


class CannotStart(StartupError):
    """A process of the server ended while it started."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the {name} process did not start; see the server log")


# What a caller gave ------------------------------------------------------------------------------------------------


class InvalidParameter(Invalid):
    """A parameter is missing or is not what the call takes."""

    def __init__(self, parameter: str, expected: str, **detail: Any) -> None:
        super().__init__(f"{parameter}: {expected}", parameter=parameter, **detail)


class BodyTooLarge(TooLarge):
    """The body of a request is longer than its route takes."""

    def __init__(self, limit: int) -> None:
        size = f"{limit >> 20} MiB" if limit >= 2**20 else f"{limit >> 10} KiB"
        super().__init__(f"the body is longer than the {size} that this call takes", parameter="body", limit=limit)


class InvalidScript(Invalid):
    """A script does not compile; ``detail`` holds every fault with its script, line and column."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        first = faults[0]
        super().__init__(f"{first['script']} line {first['line']}: {first['message']}", **first, errors=faults)


class NameTaken(StateConflict):
    """A name that must be unique is in use."""

    def __init__(self, parameter: str, name: str) -> None:
        super().__init__(f"{parameter}: {name!r} is already in use; choose another", parameter=parameter)


class EditedMeanwhile(StateConflict):
    """Somebody else saved an experiment since its editor read it."""

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"this experiment was saved elsewhere meanwhile: it is at revision {revision} now, and nothing of this "
            "call was saved",
            revision=revision,
        )


# Who is calling ----------------------------------------------------------------------------------------------------


class KeyRefused(Unauthenticated):
    """The experiment is unknown or the key is not its key: one answer for both."""

    def __init__(self) -> None:
        super().__init__("this is not the key of this experiment, or there is no such experiment")


class NotSignedIn(Unauthenticated):
    """The call needs somebody to be signed in."""

    def __init__(self) -> None:
        super().__init__("nobody is signed in: sign in first")


class NotYours(NotFound):
    """The experiment is another user's or does not exist: one answer for both."""

    def __init__(self, exp_id: str) -> None:
        super().__init__(f"you have no experiment {exp_id!r}")


class ThetaNotThere(NotFound):
    """A theta that was to be deleted does not exist."""

    def __init__(self, key: str, value: str | None) -> None:
        super().__init__(f"there is no theta {key if value is None else f'{key}:{value}'!r}")


class WrongPassword(Unauthenticated):
    """The user name is unknown or the password is wrong: one answer for both."""

    def __init__(self) -> None:
        super().__init__("username and password do not match")


class AdminsOnly(Refused):
    """Only an administrator may do this."""

    def __init__(self) -> None:
        super().__init__("only an administrator may do this")


class TokenRefused(Unauthenticated):
    """A bearer token is missing, unknown, revoked or out of date: one answer for all."""

    def __init__(self) -> None:
        super().__init__("a valid bearer token is needed")


class ScopeMissing(Refused):
    """The caller is known but lacks the scope that the call needs."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"this call needs the scope {scope!r}", scope=scope)


class TooManyFailures(TooManyRequests):
    """Too many failed sign-ins for one name and address, or from one address."""

    def __init__(self, minutes: int) -> None:
        super().__init__(f"too many failed attempts to sign in; try again in {minutes} minutes")


class ForeignOrigin(Refused):
    """A page of another site sent the sign-in cookie, or a call that changes something."""

    def __init__(self, origin: str) -> None:
        super().__init__(f"calls from {origin} are refused; an operator can add it to http.allowed_origins")


# Decisions and rewards ---------------------------------------------------------------------------------------------


class AdviceNotOffered(Invalid):
    """An advice id was sent to an experiment that gives none."""

    def __init__(self) -> None:
        super().__init__("this experiment gives no advice ids; send the context and the action of the decision instead")


class AdviceUnknown(NotFound):
    """No decision has this advice id."""

    def __init__(self, advice_id: str) -> None:
        super().__init__(f"this experiment gave no advice {advice_id!r}")


class RewardRefused(StateConflict):
    """The decision already has another reward."""

    def __init__(self) -> None:
        super().__init__("another reward was already accepted for this advice id")


class RequestIdReused(StateConflict):
    """A request id stands for another call; ``differs`` says in what: advice, context, action or reward.

    The earlier call is named by its date alone: what it held may be about somebody else.
    """

    def __init__(self, request_id: str, differs: str, date: datetime) -> None:
        super().__init__(
            f"the request id {request_id!r} stands for the call of {date.isoformat()}, which had another {differs}; "
            "give each call a request id of its own",
            request_id=request_id,
            differs=differs,
            date=date.isoformat(),
        )


class AdviceExpired(StateConflict):
    """The decision timed out and got its default reward."""

    def __init__(self, advice_id: str) -> None:
        super().__init__(f"the time to reward advice {advice_id!r} is over; its default reward was recorded")


class ScriptFailed(ScriptError):
    """A script raised, ran too long or gave back something that is not JSON."""

    def __init__(self, script: str, message: str, line: int | None = None, source: str | None = None) -> None:
        super().__init__(f"the script {script} of this experiment failed")
        self.script = script
        self.reason = message
        self.line = line
        self.source = source


class DrawFailed(ScriptError):
    """A script failed in a simulation, which is for its owner alone: so everything about it is told."""

    def __init__(self, draw: int, script: str | None, reason: str, line: int | None, source: str | None) -> None:
        where = f"in {script}" + ("" if line is None else f" line {line}") + ": " if script else ""
        super().__init__(
            f"draw {draw} failed {where}{reason}", draw=draw, script=script, line=line, message=reason, source=source
        )


class FileUnfinished(StateConflict):
    """A file is still being written."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"the file {file_id!r} is still being written; ask again in a moment")


class CannotCommit(StateConflict):
    """A simulated theta cannot take the place of the live one."""

    def __init__(self) -> None:
        super().__init__(
            "the experiment has learned or was changed since the simulation took its copy of theta, which "
            "committing would undo; simulate again, or start from an empty theta"
        )


class ClusterUnavailable(Unavailable):
    """The Dask cluster that should simulate does not."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"simulation.dask_scheduler ({address}): {reason}")


# Load and outages --------------------------------------------------------------------------------------------------


class Overloaded(Unavailable):
    """More calls wait than the server lets wait."""

    def __init__(self) -> None:
        super().__init__("too many calls are waiting; try again in a moment")


class DiskFull(Unavailable):
    """The disk of the private MongoDB is nearly full."""

    def __init__(self) -> None:
        super().__init__("the disk of the server is nearly full; nothing of this call was kept", reason="disk")


class SignInsBusy(Unavailable):
    """More passwords wait to be checked than may wait."""

    def __init__(self) -> None:
        super().__init__("too many people are signing in at this moment; try again in a few seconds")


class StoreUnavailable(Unavailable):
    """MongoDB did not answer in time."""

    def __init__(self) -> None:
        super().__init__("the database does not answer; nothing of this call was kept, try again in a moment")


class OutcomeUnknown(Unavailable):
    """MongoDB went away while it was saving: the call may or may not have been kept."""

    def __init__(self) -> None:
        super().__init__(
            "the database went away while this call was being saved, so its outcome is unknown; send it again "
            "(with the same advice id or request id it cannot count twice)"
        )


class EngineAway(Unavailable):
    """The process that works on calls has ended and is being started again."""

    def __init__(self) -> None:
        super().__init__("the engine process is starting; nothing of this call was kept, try again in a moment")


class EngineLost(Unavailable):
    """The process that worked on the call ended before it answered: the call may or may not have been kept."""

    def __init__(self) -> None:
        super().__init__(
            "the engine process ended while it worked on this call, so its outcome is unknown; send it again "
            "(with the same advice id or request id it cannot count twice)"
        )
