"""What users may store: JSON values within bounds that MongoDB and every JSON reader can keep. Any text is a key."""

from __future__ import annotations

import math
from typing import Any

MAX_DEPTH = 50
_INT64 = 2**63


def fault(value: Any, *, finite: bool = True) -> str | None:
    """What makes ``value`` impossible to store, with the path to it, or None.

    >>> fault({"a": [1, {"b": float("inf")}]})
    'a[1].b is not a finite number'
    >>> fault({"$5 off": 1, "a.b": 2}), fault({3: 1})
    (None, 'the key 3 is not text')
    """
    return _fault(value, finite, "", MAX_DEPTH)


def _fault(value: Any, finite: bool, path: str, depth: int) -> str | None:
    kind = type(value)
    if kind is float:
        return f"{_at(path)} is not a finite number" if finite and not math.isfinite(value) else None
    if kind is str:
        return None if _is_text(value) else f"{_at(path)} holds half a surrogate pair"
    if kind is int:
        return None if -_INT64 <= value < _INT64 else f"{_at(path)} needs more than 64 bits"
    if value is None or kind is bool:
        return None
    if depth == 0:
        return f"it is nested deeper than {MAX_DEPTH} levels"
    if kind is dict:
        for key, part in value.items():
            problem = _key_fault(key) or _fault(part, finite, f"{path}.{key}" if path else str(key), depth - 1)
            if problem:
                return problem
        return None
    if kind is list:
        for index, part in enumerate(value):
            problem = _fault(part, finite, f"{path}[{index}]", depth - 1)
            if problem:
                return problem
        return None
    return f"{_at(path)} is a {kind.__name__}, which JSON does not have"


def _key_fault(key: Any) -> str | None:
    if type(key) is not str:
        return f"the key {key!r} is not text"
    return None if _is_text(key) else f"the key {key!r} holds half a surrogate pair"


def _is_text(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _at(path: str) -> str:
    return path or "the value"


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, true does not equal 1, the order of keys does not matter.

    >>> same_json({"a": 1, "b": [True]}, {"b": [True], "a": 1.0}), same_json({"a": 1}, {"a": True})
    (True, False)
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(part, other[key]) for key, part in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
