"""Calls that are worked on together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from app.engine.calls import AnyCall

C = TypeVar("C", bound=AnyCall)


class Batch(Generic[C]):
    """Owns its open calls: those that are neither answered nor handed back.

    A call leaves the batch in exactly one way. What happens to the batch as a whole, such as an outage, happens to the
    calls that are still open.
    """

    def __init__(self, calls: Iterable[C], give_back: Callable[[list[C], bool], None]) -> None:
        self._open = dict.fromkeys(calls)
        self._give_back = give_back
        self.deadline = min((call.deadline for call in self._open), default=0.0)

    @property
    def calls(self) -> list[C]:
        """The open calls, in order of arrival."""
        return list(self._open)

    def answer(self, call: C, value: object) -> None:
        """Answer a call."""
        del self._open[call]
        call.answer(value)

    def fail(self, call: C, error: Exception) -> None:
        """Answer a call with an error."""
        del self._open[call]
        call.fail(error)

    def fail_all(self, error: Exception) -> None:
        """Answer all open calls with an error."""
        for call in self.calls:
            self.fail(call, error)

    def remove(self, call: C) -> None:
        """Give a call to somebody else, who answers it."""
        del self._open[call]

    def put_back(self, calls: Iterable[C], *, singly: bool = False) -> None:
        """Return calls to the front of their queue; ``singly`` if one of them killed the worker."""
        returned = list(calls)
        for call in returned:
            del self._open[call]
        if returned:
            self._give_back(returned, singly)
