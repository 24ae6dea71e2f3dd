r"""Keys of users' values that MongoDB would not give back: escaped when they are stored, restored when they are read.

BSON has no NUL in keys, and the driver reads ``{"$ref": ..., "$id": ...}`` as a reference. So a key that begins with
``$`` or holds NUL is stored with a further ``$`` in front, its NUL as ``%00`` and its ``%`` as ``%25``. All other keys
are stored as they are; dots are harmless below the top of a document. No key of a user began with ``$`` before there
was this rule, so values that were stored without it are read as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def escaped(value: Any) -> Any:
    r"""Return a JSON value with its keys as MongoDB stores them; the value itself if none has to be escaped.

    >>> escaped({"$5 off": 1, "a.b": {"x\0": 2}, "100 %": 3})
    {'$$5 off': 1, 'a.b': {'$x%00': 2}, '100 %': 3}
    """
    return _renamed(value, _escape) if _may_hold_odd_keys(value) else value


def restored(value: Any) -> Any:
    r"""Return a stored JSON value with the keys that it had before ``escaped``.

    >>> restored({"$$5 off": 1, "a.b": {"$x%00": 2}, "100 %": 3})
    {'$5 off': 1, 'a.b': {'x\x00': 2}, '100 %': 3}
    """
    return _renamed(value, _restore) if _may_hold_odd_keys(value) else value


def _may_hold_odd_keys(value: Any) -> bool:
    """Return False if no key of the value holds ``$`` or NUL."""
    # Nearly no value has such a key, and this runs for each row: so the keys of a dict are looked at together.
    level = [value]
    while level:
        deeper: list[Any] = []
        for one in level:
            parts = one
            if type(one) is dict:
                keys = "\0".join(one)
                if "$" in keys or keys.count("\0") >= len(one) > 0:
                    return True
                parts = one.values()
            elif type(one) is not list:
                continue
            deeper += [part for part in parts if type(part) is dict or type(part) is list]
        level = deeper
    return False


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if type(value) is dict:
        return {rename(key): _renamed(part, rename) for key, part in value.items()}
    if type(value) is list:
        return [_renamed(part, rename) for part in value]
    return value


def _escape(key: str) -> str:
    if not key.startswith("$") and "\0" not in key:
        return key
    return "$" + key.replace("%", "%25").replace("\0", "%00")


def _restore(key: str) -> str:
    return key[1:].replace("%00", "\0").replace("%25", "%") if key.startswith("$") else key
