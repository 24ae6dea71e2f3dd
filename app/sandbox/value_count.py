"""How much memory and time a message will cost once it is read: by the number of its values, not of its bytes.

An empty dict is one byte on its way and sixty-four in memory; without a bound on their number a worker could make the
server use a hundred times what it sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.sandbox.protocol import ITEM_VALUES


def values_in(value: Any) -> int:
    """How many values, keys and containers there are in a JSON value.

    >>> values_in({"a": [1, 2, {}]})
    6
    """
    count, todo = 0, [value]
    while todo:
        one = todo.pop()
        count += 1
        if type(one) is dict:
            count += len(one)
            todo.extend(one.values())
        elif type(one) is list:
            todo.extend(one)
    return count


def weight(length: int, parts: Iterable[Any]) -> int:
    """How many values there are in ``parts``, which take ``length`` bytes; that itself where it is within bounds."""
    return length if length <= ITEM_VALUES else sum(map(values_in, parts))
