"""A queue of calls that is worked off in batches: while one batch is worked on, the next gathers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.engine.batch import Batch
from app.engine.calls import AnyCall
from app.errors import OutcomeUnknown, Overloaded, StoreUnavailable

_BATCH_BYTES = 8 * 2**20
# A queue may grow to so many times what is left for all: ten full ones leave a hundredth of it for newcomers.
_SHARE = 9
_LITTLE_SECONDS = 1.0
C = TypeVar("C", bound=AnyCall)


@dataclass
class QueueLimits:
    """How many calls, and how many bytes of them, may still begin to wait in the whole process."""

    calls: int
    size: int
    waiting: int = 0

    def admits(self, calls: int, size: int, more: int) -> bool:
        """Whether a call of ``more`` bytes may join a queue of ``calls`` and ``size``.

        A long queue may not take all that is left, so that those who have few waiting find a place. A call too large
        for that waits alone.
        """
        fits = size + more <= _SHARE * (self.size - more) or not self.waiting
        return calls < _SHARE * self.calls and fits

    def change(self, calls: Iterable[AnyCall], sign: int) -> None:
        """Calls begin (-1) or cease (+1) to wait."""
        for call in calls:
            self.calls += sign
            self.size += sign * call.request.size
            self.waiting -= sign


class CallQueue(Generic[C]):
    """Calls in order of arrival, handed to ``work`` in batches of one kind, without two that exclude one another.

    ``work`` answers or puts back every call of its batch. If it raises, the open calls are answered with its error.
    """

    def __init__(
        self,
        work: Callable[[Batch[C]], Awaitable[None]],
        limits: QueueLimits,
        queue_calls: int,
        batch_calls: int,
    ) -> None:
        self._work = work
        self._limits = limits
        self._queue_calls = queue_calls
        self._batch_calls = batch_calls
        self._queue: deque[C] = deque()
        self._size = 0
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
        waiting = len(self._queue)
        if waiting >= self._queue_calls or not self._limits.admits(waiting, self._size, call.request.size):
            raise Overloaded()
        self._waits([call], +1)
        self._queue.append(call)
        self._wake()

    def put_back(self, calls: list[C], singly: bool = False) -> None:
        """Return calls to the front; with ``singly`` they are run one at a time, as one of them kills its worker."""
        self._waits(calls, +1)
        self._queue.extendleft(reversed(calls))
        if singly:
            self._singles = len(calls)
        self._wake()

    def _waits(self, calls: list[C], sign: int) -> None:
        """Calls begin (+1) or cease (-1) to wait."""
        self._limits.change(calls, -sign)
        self._size += sign * sum(call.request.size for call in calls)

    def _wake(self) -> None:
        if self._task is None:
            # In a context of its own: whoever wakes it may have little time left, and that limit would be inherited.
            self._task = asyncio.get_running_loop().create_task(self._drain(), context=Context())

    async def _drain(self) -> None:
        await asyncio.sleep(0)  # calls that arrived with this one join its batch
        away = False
        while self._queue:
            self._give_up_late(away)
            if batch := self._take():
                away = await self._work_off(Batch(batch, self.put_back), away)
        self._task = None

    async def _work_off(self, batch: Batch[C], away: bool) -> bool:
        """Work on a batch; return whether MongoDB is away, which it was before if ``away``."""
        had_time = batch.deadline - time.monotonic() > _LITTLE_SECONDS
        try:
            await self._work(batch)
        except Exception as error:
            batch.fail_all(error)
            # With its time all but over it fails although MongoDB is there, and tells nothing new.
            return (had_time or away) and isinstance(error, StoreUnavailable | OutcomeUnknown)
        return False

    def _give_up_late(self, away: bool) -> None:
        """Answer calls whose time is over without running them: else a queue too long would do nothing but that.

        ``away`` says that MongoDB is what they waited for.
        """
        late: list[C] = []
        while self._queue and self._queue[0].deadline <= time.monotonic():
            late.append(self._queue.popleft())
        self._waits(late, -1)
        for call in late:
            call.fail(StoreUnavailable() if away else Overloaded())

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
                room -= call.request.size
            taken |= call.exclusive  # of those left too: they keep their order among themselves
        self._queue.extendleft(reversed(left))
        self._waits(batch, -1)
        return batch
