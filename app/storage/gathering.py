"""Work of several experiments that goes to MongoDB in one piece, where it comes at once.

While a few pieces are under way, whatever is added gathers for the next one. Whoever adds something hears of that only.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False)
class Portion(Generic[T]):
    """What was added at once, and who waits for it; ``deadline`` is a time of ``time.monotonic``."""

    content: T
    deadline: float
    done: asyncio.Future[None]

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


class Gathering(Generic[T]):
    """Hands portions to ``write``, which must end each of them.

    At most ``at_once`` pieces are under way; a portion joins those of a piece if it ``fits`` to them.
    """

    def __init__(
        self,
        write: Callable[[list[Portion[T]]], Awaitable[None]],
        fits: Callable[[list[Portion[T]], Portion[T]], bool],
        at_once: int,
    ) -> None:
        self._write = write
        self._fits = fits
        self._at_once = at_once
        self._waiting: deque[Portion[T]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, content: T, deadline: float) -> None:
        """Return once it is written; raises what ``write`` ended it with."""
        loop = asyncio.get_running_loop()
        portion = Portion(content, deadline, loop.create_future())
        self._waiting.append(portion)
        if len(self._tasks) < self._at_once:
            # In a context of its own: the caller's time limit is not that of what is added later.
            task = loop.create_task(self._work(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await portion.done

    async def _work(self) -> None:
        while self._waiting:
            piece = [self._waiting.popleft()]
            while self._waiting and self._fits(piece, self._waiting[0]):
                piece.append(self._waiting.popleft())
            try:
                await self._write(piece)
            except Exception as error:  # a fault of ours, which must not leave anybody waiting
                for portion in piece:
                    portion.end(error)
