"""Batches: each item fails or succeeds alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.errors import InvalidParameter
from app.http.batches import answer_each, batch_items


def test_each_item_has_its_answer_or_its_error_in_order() -> None:
    async def double(value: int) -> int:
        # The later items end first.
        for _ in range(10 - value):
            await asyncio.sleep(0)
        if value == 2:
            raise InvalidParameter("value", "expected another one")
        return 2 * value

    async def scenario() -> list[Any]:
        return await answer_each([double(value) for value in (1, 2, 3)], str)

    assert asyncio.run(scenario()) == [2, "value: expected another one", 6]


@pytest.mark.parametrize("items", [None, {}, [], [1, 2, 3], "ab"])
def test_a_batch_is_an_array_within_bounds(items: Any) -> None:
    with pytest.raises(InvalidParameter, match="items: expected an array of 1 to 2 objects"):
        batch_items("items", items, 2)
    assert batch_items("items", [1, 2], 2) == [1, 2]
