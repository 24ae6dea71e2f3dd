"""The calls that wait in an experiment's queues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from app.domain.requests import ActionRequest, RewardRequest


class Promise(Protocol):
    """Where the answer of a call goes: an asyncio future, or what sends it to another process."""

    def done(self) -> bool:
        """Whether it was answered, or nobody waits any more."""

    def set_result(self, result: Any, /) -> None:
        """Answer."""

    def set_exception(self, exception: Exception, /) -> None:
        """Answer with an error."""


R = TypeVar("R", ActionRequest, RewardRequest)


@dataclass(eq=False)
class Call(Generic[R]):
    """A request on its way; ``deadline`` is a time of ``time.monotonic``.

    ``id`` is the id of the row it will make. It is drawn once, however often the call is tried.
    """

    id: str
    deadline: float
    promise: Promise
    request: R

    @property
    def exclusive(self) -> set[str]:
        """Names of which no two calls of the same batch may share one."""
        request_id = self.request.request_id
        return set() if request_id is None else {f"request:{request_id}"}

    def answer(self, value: object) -> None:
        """Answer it, unless its caller is gone."""
        if not self.promise.done():
            self.promise.set_result(value)

    def fail(self, error: Exception) -> None:
        """Answer it with an error, unless its caller is gone."""
        if not self.promise.done():
            self.promise.set_exception(error)


class ActionCall(Call[ActionRequest]):
    """A getaction."""


class RewardCall(Call[RewardRequest]):
    """A setreward."""

    @property
    def exclusive(self) -> set[str]:
        """Also its advice, which takes one reward."""
        advice_id = self.request.advice_id
        return super().exclusive | (set() if advice_id is None else {f"advice:{advice_id}"})


AnyCall = ActionCall | RewardCall
