"""Everything that can go wrong in the domain, each error writing its own sentence from what it is given.

Nothing here knows HTTP: ``app.http.errors`` decides which status each class answers with.
"""

from __future__ import annotations

from typing import Any


class ThetaloopError(Exception):
    """The base of every error that a user may see; ``message`` is a whole sentence, ``detail`` is for programs."""

    def __init__(self, message: str, /, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


# Starting up -------------------------------------------------------------------------------------------------------


class ConfigurationError(ThetaloopError):
    """A setting is unknown, malformed or missing."""


class MongodUnavailable(ThetaloopError):
    """No private mongod can be started, adopted or reached."""


class NotAReplicaSet(ThetaloopError):
    """The MongoDB that was configured cannot run transactions."""

    def __init__(self) -> None:
        super().__init__(
            "mongodb.uri must name a replica set (one member is enough): this MongoDB is a standalone server, "
            "which has no transactions. Start mongod with --replSet and run rs.initiate() once."
        )


class SandboxUnavailable(ThetaloopError):
    """The process that runs scripts cannot be started."""


class CannotStart(ThetaloopError):
    """A process of the server ended while it started."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the {name} process did not start; the log says why")


# What a caller gave ------------------------------------------------------------------------------------------------


class InvalidParameter(ThetaloopError):
    """A parameter is missing or is not what the call takes."""

    def __init__(self, parameter: str, expected: str, **detail: Any) -> None:
        super().__init__(f"{parameter}: {expected}", parameter=parameter, **detail)


class InvalidScript(ThetaloopError):
    """A script does not compile; ``detail`` holds every fault with its script, line and column."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        first = faults[0]
        super().__init__(f"{first['script']} line {first['line']}: {first['message']}", **first, errors=faults)


class NameTaken(ThetaloopError):
    """A name that must be unique is in use."""

    def __init__(self, parameter: str, name: str) -> None:
        super().__init__(f"{parameter}: {name!r} is already in use; choose another", parameter=parameter)


class EditedMeanwhile(ThetaloopError):
    """Somebody else saved an experiment since its editor read it."""

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"this experiment was saved elsewhere meanwhile: it is at revision {revision} now, and nothing of this "
            "call was saved",
            revision=revision,
        )


class NotFound(ThetaloopError):
    """Something named in a path does not exist."""


# Who is calling ----------------------------------------------------------------------------------------------------


class KeyRefused(ThetaloopError):
    """The experiment is unknown or the key is not its key: one answer for both."""

    def __init__(self) -> None:
        super().__init__("key: this is not the key of this experiment, or there is no such experiment")


class NotSignedIn(ThetaloopError):
    """The call needs somebody to be signed in."""

    def __init__(self) -> None:
        super().__init__("sign in first: POST /login with username and password")


class NotYours(ThetaloopError):
    """The experiment is another user's or does not exist: one answer for both."""

    def __init__(self, exp_id: str) -> None:
        super().__init__(f"you have no experiment {exp_id!r}")


class ThetaNotThere(ThetaloopError):
    """A theta that was to be deleted does not exist."""

    def __init__(self, key: str, value: str | None) -> None:
        super().__init__(f"theta_key, theta_value: there is no theta {key if value is None else f'{key}:{value}'!r}")


class WrongPassword(ThetaloopError):
    """The user name is unknown or the password is wrong: one answer for both."""

    def __init__(self) -> None:
        super().__init__("username and password do not match")


class AdminsOnly(ThetaloopError):
    """Only an administrator may do this."""

    def __init__(self) -> None:
        super().__init__("only an administrator may do this")


class TooManyFailures(ThetaloopError):
    """Too many failed sign-ins for one name and address."""

    def __init__(self, minutes: int) -> None:
        super().__init__(f"too many failed attempts to sign in; try again in {minutes} minutes")


class ForeignOrigin(ThetaloopError):
    """A browser sent the sign-in cookie from a page of another site."""

    def __init__(self, origin: str) -> None:
        super().__init__(f"calls from {origin} are refused; an operator can add it to http.allowed_origins")


# Decisions and rewards ---------------------------------------------------------------------------------------------


class AdviceNotOffered(ThetaloopError):
    """An advice id was sent to an experiment that gives none."""

    def __init__(self) -> None:
        super().__init__("advice_id: this experiment gives no advice ids; send context and action instead")


class AdviceUnknown(ThetaloopError):
    """No decision has this advice id."""

    def __init__(self, advice_id: str) -> None:
        super().__init__(f"advice_id: this experiment gave no advice {advice_id!r}")


class RewardRefused(ThetaloopError):
    """The decision, or the request id, already has another reward."""

    def __init__(self, parameter: str) -> None:
        super().__init__(f"reward: another reward was already accepted for this {parameter}")


class AdviceExpired(ThetaloopError):
    """The decision timed out and got its default reward."""

    def __init__(self, advice_id: str) -> None:
        super().__init__(f"advice_id: the time to reward {advice_id!r} is over; its default reward was recorded")


class ScriptFailed(ThetaloopError):
    """A script raised, ran too long or gave back something that is not JSON."""

    def __init__(self, script: str, message: str, line: int | None = None, source: str | None = None) -> None:
        super().__init__(f"the script {script} of this experiment failed")
        self.script = script
        self.reason = message
        self.line = line
        self.source = source


class DrawFailed(ThetaloopError):
    """A script failed in a simulation, which is for its owner alone: so everything about it is told."""

    def __init__(self, draw: int, script: str | None, reason: str, line: int | None, source: str | None) -> None:
        where = f"in {script}" + ("" if line is None else f" line {line}") + ": " if script else ""
        super().__init__(
            f"draw {draw} failed {where}{reason}", draw=draw, script=script, line=line, message=reason, source=source
        )


class CannotCommit(ThetaloopError):
    """A simulated theta cannot take the place of the live one."""

    def __init__(self) -> None:
        super().__init__(
            "commit: the experiment has learned or was changed since the simulation took its copy of theta, which "
            "committing would undo; simulate again, or start from an empty theta"
        )


class ClusterUnavailable(ThetaloopError):
    """The Dask cluster that should simulate does not."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"simulation.dask_scheduler ({address}): {reason}")


# Load and outages --------------------------------------------------------------------------------------------------


class Overloaded(ThetaloopError):
    """More calls wait than the server lets wait."""

    def __init__(self) -> None:
        super().__init__("too many calls are waiting; try again in a moment")


class StoreUnavailable(ThetaloopError):
    """MongoDB did not answer in time."""

    def __init__(self) -> None:
        super().__init__("the database does not answer; nothing of this call was kept, try again in a moment")


class OutcomeUnknown(ThetaloopError):
    """MongoDB went away while it was saving: the call may or may not have been kept."""

    def __init__(self) -> None:
        super().__init__(
            "the database went away while this call was being saved, so its outcome is unknown; send it again "
            "(with the same advice_id or request_id it cannot count twice)"
        )


class EngineAway(ThetaloopError):
    """The process that works on calls has ended and is being started again."""

    def __init__(self) -> None:
        super().__init__("a part of the server is starting; nothing of this call was kept, try again in a moment")


class EngineLost(ThetaloopError):
    """The process that worked on the call ended before it answered: the call may or may not have been kept."""

    def __init__(self) -> None:
        super().__init__(
            "the part of the server that was working on this call ended, so its outcome is unknown; send it again "
            "(with the same advice_id or request_id it cannot count twice)"
        )
