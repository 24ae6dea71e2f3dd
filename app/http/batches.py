"""Many calls in one request: each item fails or succeeds alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from app.errors import InvalidParameter


def batch_items(parameter: str, value: Any, most: int) -> list[Any]:
    """Return the items of a batch; raise ``InvalidParameter`` unless it is an array of 1 to ``most``."""
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise InvalidParameter(parameter, f"expected an array of 1 to {most:,} objects")
    return value


async def answer_each(calls: Iterable[Awaitable[Any]], refuse: Callable[[BaseException], Any]) -> list[Any]:
    """Await all calls at once and return their answers in order; ``refuse`` makes the answer of one that raised."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [refuse(answer) if isinstance(answer, BaseException) else answer for answer in answers]
