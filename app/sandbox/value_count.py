"""The cost of a message once it is decoded, by the number of its values.

An empty dict is one byte in MessagePack and 64 bytes in memory. Without a bound on the number of values a worker could
make the server use a hundred times what it sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.sandbox.protocol import ITEM_VALUES


def values_in(value: Any) -> int:
    """Return how many values, keys and containers there are in a JSON value.

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


def value_count(length: int, parts: Iterable[Any]) -> int:
    """Return how many values there are in ``parts``, which take ``length`` bytes; ``length`` if that is within bounds.

    Every value takes a byte at least, so ``length`` bounds their number from above.
    """
    return length if length <= ITEM_VALUES else sum(map(values_in, parts))
