"""A queue of calls that is worked off in batches: while one batch is worked on, the next gathers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.engine.calls import Call
from app.errors import Overloaded

_BATCH_BYTES = 8 * 2**20
C = TypeVar("C", bound=Call)


@dataclass
class Budget:
    """How many calls, and how many bytes of them, may still begin to wait in the whole process."""

    calls: int
    size: int

    @property
    def used_up(self) -> bool:
        """Whether no further call may wait."""
        return self.calls <= 0 or self.size <= 0

    def change(self, calls: Iterable[Call], sign: int) -> None:
        """Calls begin (-1) or cease (+1) to wait."""
        for call in calls:
            self.calls += sign
            self.size += sign * call.size


class Lane(Generic[C]):
    """Calls in order of arrival, handed to ``work`` as lists of one kind, without two that exclude one another."""

    def __init__(
        self,
        work: Callable[[list[C]], Awaitable[None]],
        budget: Budget,
        queue_calls: int,
        batch_calls: int,
    ) -> None:
        self._work = work
        self._budget = budget
        self._queue_calls = queue_calls
        self._batch_calls = batch_calls
        self._queue: deque[C] = deque()
        self._singles = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether any call waits or is worked on."""
        return self._task is not None

    async def idle(self) -> None:
        """Wait until nothing is queued or worked on."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def add(self, call: C) -> None:
        """Queue a call; ``Overloaded`` if too many wait."""
        if self._budget.used_up or len(self._queue) >= self._queue_calls:
            raise Overloaded()
        self._budget.change([call], -1)
        self._queue.append(call)
        self._wake()

    def put_back(self, calls: list[C], singly: bool = False) -> None:
        """Return calls that were not run to the front; ``singly`` if one of them harmed its worker."""
        self._budget.change(calls, -1)
        self._queue.extendleft(reversed(calls))
        if singly:
            self._singles = len(calls)
        self._wake()

    def _wake(self) -> None:
        if self._task is None:
            # In a context of its own: whoever wakes it may have little time left, and that limit would be inherited.
            self._task = asyncio.get_running_loop().create_task(self._drain(), context=Context())

    async def _drain(self) -> None:
        await asyncio.sleep(0)  # calls that arrived with this one join its batch
        while self._queue:
            batch = self._take()
            try:
                await self._work(batch)
            except Exception as error:
                for call in batch:
                    call.fail(error)
        self._task = None

    def _take(self) -> list[C]:
        """The next batch: calls from the front that may join it, the others keep their order."""
        size = 1 if self._singles else self._batch_calls
        self._singles = max(0, self._singles - 1)
        batch: list[C] = []
        left: list[C] = []
        taken: set[str] = set()
        room = _BATCH_BYTES
        while self._queue and len(batch) < size and len(left) < size and room > 0:
            call = self._queue.popleft()
            if (batch and type(call) is not type(batch[0])) or call.exclusive & taken:
                left.append(call)
            else:
                batch.append(call)
                room -= call.size
            taken |= call.exclusive  # of those left too: they keep their order among themselves
        self._queue.extendleft(reversed(left))
        self._budget.change(batch, +1)
        return batch
