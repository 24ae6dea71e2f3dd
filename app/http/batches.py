"""Many calls in one request: each item fails or succeeds alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

# Of a batch of 8 MiB, so much is begun in one turn of the event loop; other requests have theirs between.
_TURN_BYTES = 16 * 2**10


async def answer_each(calls: Iterable[tuple[int, Awaitable[Any]]], refuse: Callable[[BaseException], Any]) -> list[Any]:
    """Await all calls at once and return their answers in order; ``refuse`` makes the answer of one that raised.

    A call comes with the size of its item in bytes, by which the event loop gets its turn.
    """
    tasks, begun = [], 0
    for size, call in calls:
        tasks.append(asyncio.ensure_future(call))
        begun += size
        if begun >= _TURN_BYTES:
            begun = 0
            await asyncio.sleep(0)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    return [refuse(answer) if isinstance(answer, BaseException) else answer for answer in answers]
