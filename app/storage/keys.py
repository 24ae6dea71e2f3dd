r"""Keys of users' values that MongoDB would not give back: escaped when they are stored, restored when they are read.

BSON has no NUL in keys, and the driver reads ``{"$ref": ..., "$id": ...}`` as a reference. So a key that begins with
``$`` or holds NUL is stored with a further ``$`` in front, its NUL as ``%00`` and its ``%`` as ``%25``. All other keys
are stored as they are; dots are harmless below the top of a document. No key of a user began with ``$`` before there
was this rule, so values that were stored without it are read as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

_json = msgspec.json.Encoder().encode


def escaped(value: Any) -> Any:
    r"""Return a JSON value with its keys as MongoDB stores them; the value itself if none has to be escaped.

    >>> escaped({"$5 off": 1, "a.b": {"x\0": 2}, "100 %": 3})
    {'$$5 off': 1, 'a.b': {'$x%00': 2}, '100 %': 3}
    """
    return _renamed(value, _escape) if _may_hold(value, b'"$', b"\\u0000") else value


def restored(value: Any) -> Any:
    r"""Return a stored JSON value with the keys that it had before ``escaped``.

    >>> restored({"$$5 off": 1, "a.b": {"$x%00": 2}, "100 %": 3})
    {'$5 off': 1, 'a.b': {'x\x00': 2}, '100 %': 3}
    """
    return _renamed(value, _restore) if _may_hold(value, b'"$') else value


def _may_hold(value: Any, *signs: bytes) -> bool:
    # Nearly no value has such keys, and its JSON is searched in a tenth of the time that a walk through it takes.
    text = _json(value)
    return any(sign in text for sign in signs)


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
