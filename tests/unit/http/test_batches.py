"""Batches: each item fails or succeeds alone."""

from __future__ import annotations

import asyncio
from typing import Any

from app.errors import InvalidParameter
from app.http.batches import answer_each


def test_each_item_has_its_answer_or_its_error_in_order() -> None:
    async def double(value: int) -> int:
        # The later items end first.
        for _ in range(10 - value):
            await asyncio.sleep(0)
        if value == 2:
            raise InvalidParameter("value", "expected another one")
        return 2 * value

    async def scenario() -> list[Any]:
        return await answer_each([(1, double(value)) for value in (1, 2, 3)], str)

    assert asyncio.run(scenario()) == [2, "value: expected another one", 6]


def test_other_work_has_its_turn_while_a_large_batch_begins() -> None:
    turns: list[str] = []

    async def call(number: int) -> None:
        turns.append(f"item {number}")

    async def other() -> None:
        turns.append("other")

    async def scenario() -> None:
        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(other()))
        await answer_each([(2**20, call(number)) for number in range(8)], str)

    asyncio.run(scenario())
    assert len(turns) == 9
    assert turns.index("other") < 4
