"""Group commit: writes that come at once share commands to MongoDB.

While a few commands are under way, whatever is added gathers for the next one. Each caller gets its own result and its
own deadline.
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
# The task at work on a write knows better than its timer why it is late: let it end the write first.
_GRACE_SECONDS = 0.05
T = TypeVar("T")


@dataclass(eq=False)
class PendingWrite(Generic[T]):
    """What one caller added, and the future on which it waits.

    ``deadline`` is a time of ``time.monotonic``; ``rows`` and ``size`` are how many documents and about how many bytes
    it has; two that share a name in ``exclusive`` never share a group; ``late`` is what it ends with at its deadline.
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
        """Tell the caller, unless it no longer waits."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class GroupCommit(Generic[T]):
    """Hands writes to ``write``, which must end each of them, in groups of at most so many ``rows``.

    At most ``at_once`` groups are under way.
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
        write = PendingWrite(content, deadline, rows, size, exclusive or set(), loop.create_future())
        self._waiting.append(write)
        if len(self._tasks) < self._at_once:
            # In a context of its own: the caller's time limit is not that of what is added later.
            task = loop.create_task(self._work(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        timer = loop.call_later(max(write.seconds, 0) + _GRACE_SECONDS, self._give_up, write)
        try:
            await write.done
        finally:
            timer.cancel()

    def _give_up(self, write: PendingWrite[T]) -> None:
        write.end(write.late())
        if write in self._waiting:
            self._waiting.remove(write)

    async def _work(self) -> None:
        while self._waiting:
            group = self._take()
            try:
                await self._write(group)
            except Exception as error:  # a fault of ours, which must leave no caller waiting
                for write in group:
                    write.end(error)

    def _take(self) -> list[PendingWrite[T]]:
        first = self._waiting.popleft()
        group, rows, size, taken = [first], first.rows, first.size, set(first.exclusive)
        while self._waiting:
            another = self._waiting[0]
            rows += another.rows
            size += another.size
            if rows > self._rows or size > _MAX_BYTES or taken & another.exclusive:
                break
            taken |= another.exclusive
            group.append(self._waiting.popleft())
        return group


def in_time(writes: list[PendingWrite[T]]) -> list[PendingWrite[T]]:
    """Return the writes whose callers still wait and have time left; end the others."""
    for write in writes:
        if write.seconds <= 0:
            write.end(write.late())
    return [write for write in writes if not write.done.done()]
