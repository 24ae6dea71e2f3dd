"""The calls that wait in an experiment's queues, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class ActionAnswer:
    """The answer to getaction: ``advice_id`` where the experiment gives advices; ``debug`` is what scripts showed."""

    action: dict[str, Any]
    context: dict[str, Any]
    advice_id: str | None
    debug: list[Any]


@dataclass(frozen=True)
class RewardAnswer:
    """The answer to setreward; ``duplicate`` if the same reward had been accepted before."""

    context: dict[str, Any]
    action: dict[str, Any]
    reward: dict[str, Any]
    duplicate: bool = False


class Promise(Protocol):
    """Where the answer of a call goes: an asyncio future, or what sends it to another process."""

    def done(self) -> bool:
        """Whether it was answered, or nobody waits any more."""

    def set_result(self, result: Any, /) -> None:
        """The answer."""

    def set_exception(self, exception: Exception, /) -> None:
        """The error instead."""


@dataclass(eq=False)
class Call:
    """A call on its way.

    ``id`` is the id of the row it will make, drawn once however often it is tried; ``size`` is about how many bytes it
    holds while it waits.
    """

    id: str
    deadline: float
    promise: Promise
    request_id: str | None
    size: int

    @property
    def exclusive(self) -> set[str]:
        """What no other call of the same batch may have."""
        return set() if self.request_id is None else {f"request:{self.request_id}"}

    def answer(self, value: object) -> None:
        """Answer it, unless its caller is gone."""
        if not self.promise.done():
            self.promise.set_result(value)

    def fail(self, error: Exception) -> None:
        """Answer it with an error."""
        if not self.promise.done():
            self.promise.set_exception(error)


@dataclass(eq=False)
class ActionCall(Call):
    """A getaction."""

    context: dict[str, Any]


@dataclass(eq=False)
class RewardCall(Call):
    """A setreward: for an advice, whose context and action are looked up, or for a context and action.

    ``default`` marks the default reward of an advice that timed out.
    """

    reward: dict[str, Any]
    advice_id: str | None = None
    context: dict[str, Any] | None = None
    action: dict[str, Any] | None = None
    default: bool = False

    @property
    def exclusive(self) -> set[str]:
        """Also its advice, which takes one reward."""
        return super().exclusive | (set() if self.advice_id is None else {f"advice:{self.advice_id}"})
