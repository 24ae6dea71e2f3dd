"""Whether views are out of date, as a change stream of heads tells it: one stream for the whole process.

It is a hint and no more. While the stream gets on, a view needs no reading as long as nothing is heard of its heads;
when it doesn't, heads are read before they are used. Commits never depend on it: the head they move decides.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from time import monotonic as now
from typing import Protocol

from app.engine.view import View
from app.storage.head_stream import StreamBroken


class NewsStream(Protocol):
    """An open stream; ``app.storage.head_stream.Stream``."""

    async def news(self) -> list[tuple[str, float]]:
        """Return the seqs that heads got since this was last asked, in order. Raises ``StreamBroken``."""

    async def close(self) -> None:
        """End it."""


class NewsSource(Protocol):
    """Opens streams; ``app.storage.head_stream.HeadChangeStream``."""

    async def open(self) -> NewsStream:
        """Return a stream that begins no later than any majority read that is sent from now on, or ``StreamBroken``."""


# How often news are asked for, which is how far behind other servers a getaction is as a rule.
_PACE_SECONDS = 0.1
_MAX_PAUSE = 1.0
_MAX_SEQS = 20_000
_NEVER = float("inf")


class HeadWatcher:
    """Knows the highest seq heard of each head, since when all were heard of, and until when.

    Listens while it is asked, and for ``listening_seconds`` after; without a ``source`` it never does.
    """

    def __init__(self, source: NewsSource | None, listening_seconds: float) -> None:
        self._source = source
        self._linger = listening_seconds
        self._seqs: dict[str, float] = {}
        self._since = _NEVER
        self._until = 0.0
        self._wanted = 0.0
        self._task: asyncio.Task[None] | None = None

    def outdated(self, view: View) -> bool:
        """Return whether a head of the view is known to have moved on."""
        seqs = self._seqs
        return any(seqs.get(exp_id, 0) > head.seq for exp_id, head in view.heads.items())

    def checked(self, read: float) -> float:
        """Return the moment for which a view that was read at ``read``, and isn't outdated, is known to be right.

        Times are of ``time.monotonic``.
        """
        self._wanted = now()
        if self._task is None and self._source is not None:
            # In a context of its own: the first caller may have little time left, and that limit would be inherited.
            self._task = asyncio.get_running_loop().create_task(self._listen(self._source), context=Context())
        return max(read, self._until) if read >= self._since else read

    async def close(self) -> None:
        """Stop listening."""
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _listen(self, source: NewsSource) -> None:
        pause = _PACE_SECONDS
        try:
            while self._is_wanted():
                try:
                    stream = await source.open()
                    pause = _PACE_SECONDS
                    await self._follow(stream)
                except StreamBroken:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _MAX_PAUSE)
        finally:
            self._task = None

    async def _follow(self, stream: NewsStream) -> None:
        try:
            self._since = now()
            while self._is_wanted():
                asked = now()
                for exp_id, seq in await stream.news():
                    self._seqs[exp_id] = seq
                self._until = asked
                if len(self._seqs) > _MAX_SEQS:
                    # All heads there are would not fit into memory; what was read before is read once more.
                    self._seqs.clear()
                    self._since = now()
                await asyncio.sleep(_PACE_SECONDS)
        finally:
            self._since = _NEVER
            await stream.close()

    def _is_wanted(self) -> bool:
        return now() - self._wanted < self._linger
