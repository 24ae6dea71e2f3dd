"""Work of several experiments that goes to MongoDB in one piece, where it comes at once.

While a few pieces are under way, whatever is added gathers for the next one. Whoever adds something hears of that only,
and by a deadline of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.errors import OutcomeUnknown, StoreUnavailable

# What is larger goes alone: it would take the others' time.
_MAX_BYTES = 2**20
# Who is at work on a portion knows better than its timer why it is late, and so gets to say it first.
_GRACE_SECONDS = 0.05
T = TypeVar("T")


@dataclass(eq=False)
class PendingWrite(Generic[T]):
    """What was added at once, and who waits for it.

    ``deadline`` is a time of ``time.monotonic``; ``rows`` and ``size`` are how many documents and about how many bytes
    it has; two that share a name in ``exclusive`` never share a piece; ``late`` is what it ends with at its deadline.
    """

    content: T
    deadline: float
    rows: int
    size: int
    exclusive: set[str]
    done: asyncio.Future[None]
    late: type[OutcomeUnknown | StoreUnavailable] = StoreUnavailable

    @property
    def seconds(self) -> float:
        """The time that is left."""
        return self.deadline - time.monotonic()

    def end(self, error: Exception | None = None) -> None:
        """Tell who added it, unless nobody waits any more."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class GroupCommit(Generic[T]):
    """Hands portions to ``write``, which must end each of them, in pieces of at most so many ``rows``.

    At most ``at_once`` pieces are under way.
    """

    def __init__(self, write: Callable[[list[PendingWrite[T]]], Awaitable[None]], at_once: int, rows: int) -> None:
        self._write = write
        self._at_once = at_once
        self._rows = rows
        self._waiting: deque[PendingWrite[T]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(
        self, content: T, deadline: float, *, rows: int, size: int, exclusive: set[str] | None = None
    ) -> None:
        """Return once it is written; raises what ``write`` ended it with, or what it is ``late`` with."""
        loop = asyncio.get_running_loop()
        portion = PendingWrite(content, deadline, rows, size, exclusive or set(), loop.create_future())
        self._waiting.append(portion)
        if len(self._tasks) < self._at_once:
            # In a context of its own: the caller's time limit is not that of what is added later.
            task = loop.create_task(self._work(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        timer = loop.call_later(max(portion.seconds, 0) + _GRACE_SECONDS, self._give_up, portion)
        try:
            await portion.done
        finally:
            timer.cancel()

    def _give_up(self, portion: PendingWrite[T]) -> None:
        portion.end(portion.late())
        if portion in self._waiting:
            self._waiting.remove(portion)

    async def _work(self) -> None:
        while self._waiting:
            piece = self._take()
            try:
                await self._write(piece)
            except Exception as error:  # a fault of ours, which must not leave anybody waiting
                for portion in piece:
                    portion.end(error)

    def _take(self) -> list[PendingWrite[T]]:
        first = self._waiting.popleft()
        piece, rows, size, taken = [first], first.rows, first.size, set(first.exclusive)
        while self._waiting:
            another = self._waiting[0]
            rows += another.rows
            size += another.size
            if rows > self._rows or size > _MAX_BYTES or taken & another.exclusive:
                break
            taken |= another.exclusive
            piece.append(self._waiting.popleft())
        return piece


def in_time(portions: list[PendingWrite[T]]) -> list[PendingWrite[T]]:
    """Those for which somebody waits and that have time left; the others are given up."""
    for portion in portions:
        if portion.seconds <= 0:
            portion.end(portion.late())
    return [portion for portion in portions if not portion.done.done()]
