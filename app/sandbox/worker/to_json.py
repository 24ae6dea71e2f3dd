"""Turn what a script filled into plain JSON values, inside the worker.

numpy's scalars and arrays become numbers and lists, tuples lists, whole-number keys text. Anything else that JSON does
not have is an error that names its place. This is for good error messages: the server checks the answer again.

Nearly all values are plain already. That is checked first, as cheaply as possible; only values that are not certainly
plain take the slow path, which builds the error messages.
"""

from __future__ import annotations

import math
from math import isfinite
from typing import Any

import msgspec
import numpy as np

from app.domain.values import MAX_DEPTH, fault
from app.sandbox.protocol import ROW_LIMIT

# A dict in which nothing could be changed by whoever holds a copy is kept as it is, anything else as MessagePack.
Kept = dict[str, Any] | bytes

# So many values of so few characters are within every bound on bytes; more are measured.
_FEW = 100
_SHORT = 1_000
_REMEMBERED = 10_000
_sound_keys: set[str] = set()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class NotStorable(Exception):
    """A value cannot be kept; the message says which and why."""


def cleaned(value: Any, what: str, *, finite: bool = True) -> Any:
    """Return ``value`` as plain dicts, lists, numbers, text, booleans and None; raises ``NotStorable``.

    >>> cleaned({1: np.float64(0.5), "a": (np.arange(2), True)}, "self.action")
    {'1': 0.5, 'a': [[0, 1], True]}
    """
    plain = _plain(value, what, MAX_DEPTH)
    problem = fault(plain, finite=finite)
    if problem:
        raise NotStorable(f"{what}: {problem}")
    return plain


def cleaned_dict(value: Any, what: str, *, finite: bool = True) -> dict[str, Any]:
    """Return ``cleaned(value)`` of what must be a dict."""
    return fresh(kept(value, what, finite=finite))


def kept(value: Any, what: str, *, finite: bool = True) -> Kept:
    """Return ``cleaned(value)`` of what must be a dict, in a form of which ``fresh`` makes independent copies fast.

    >>> kept({"n": 1}, "theta"), kept({"n": [1]}, "theta")
    ({'n': 1}, b'\\x81\\xa1n\\x91\\x01')
    """
    if is_flat(value, finite):
        return value.copy()  # type: ignore[no-any-return]
    if type(value) is dict and _is_plain(value, finite):
        return _encode(value)
    plain = cleaned(value, what, finite=finite)
    if type(plain) is not dict:
        raise NotStorable(f"{what} must be a dict, not {_name(value)}")
    return _encode(plain)


def kept_row(value: Any, what: str) -> Kept:
    """Return ``kept(value)`` of a part of a row; raises ``NotStorable`` if it is over ``ROW_LIMIT`` bytes."""
    row = kept(value, what)
    if type(row) is bytes and len(row) > ROW_LIMIT:
        raise NotStorable(f"{what} holds more than {ROW_LIMIT >> 10} KiB")
    return row


def fresh(what: Kept) -> dict[str, Any]:
    """Return a copy that shares nothing with other copies."""
    return what.copy() if type(what) is dict else _decode(what)  # type: ignore[arg-type]


def packed(what: Kept) -> bytes:
    """Return it as MessagePack."""
    return what if type(what) is bytes else _encode(what)


def is_flat(value: Any, finite: bool = True) -> bool:
    """Return whether it certainly is a plain dict of short text, numbers, booleans and None."""
    if type(value) is not dict or len(value) > _FEW:
        return False
    for key, part in value.items():
        if type(key) is not str or (key not in _sound_keys and not _is_sound(key)):
            return False
        kind = type(part)
        if kind is str:
            if len(part) >= _SHORT or not part.isascii():
                return False
        elif kind is int:
            if not -(2**63) <= part < 2**63:
                return False
        elif kind is float:
            if finite and not isfinite(part):
                return False
        elif kind is not bool and part is not None:
            return False
    return True


def _is_plain(value: dict[Any, Any], finite: bool) -> bool:
    """Return whether a dict and all that it holds certainly is plain."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for one in level:
            parts = one
            if type(one) is dict:
                for key in one:
                    if type(key) is not str or (key not in _sound_keys and not _is_sound(key)):
                        return False
                parts = one.values()
            for part in parts:
                kind = type(part)
                if kind is float:
                    good = not finite or isfinite(part)
                elif kind is list or kind is dict:
                    deeper.append(part)
                    continue
                elif kind is int:
                    good = -(2**63) <= part < 2**63
                else:
                    good = kind is bool or part is None or (kind is str and part.isascii())
                if not good:
                    return False
        if not deeper:
            return True
        level = deeper
    return False


def _is_sound(key: str) -> bool:
    """Return whether a key may be stored; the answer for short keys is remembered."""
    if not key.isascii():
        return False
    if len(key) < _SHORT:
        if len(_sound_keys) >= _REMEMBERED:
            _sound_keys.clear()
        _sound_keys.add(key)
    return len(key) < _SHORT


def _plain(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind is float or kind is str or kind is int or kind is bool or value is None:
        return value
    if depth == 0:
        raise NotStorable(f"{path.split('[')[0]} is nested deeper than {MAX_DEPTH} levels, or holds itself")
    if kind is dict or isinstance(value, dict):
        return {_key(key, path): _plain(part, f"{path}[{key!r}]", depth - 1) for key, part in dict.items(value)}
    if kind is list or kind is tuple or isinstance(value, (list, tuple)):
        return [_plain(part, f"{path}[{index}]", depth - 1) for index, part in enumerate(value)]
    if isinstance(value, np.ndarray | np.generic):
        plain = value.tolist()
        if type(plain) is kind:  # longer than Python's numbers, so numpy gives it back as it is
            raise NotStorable(f"{path} is {_name(value)}, which JSON does not have; float() of it is a number")
        return _plain(plain, path, depth - 1)
    for base in (str, float, int):  # subclasses, as numpy's or an enumeration's
        if isinstance(value, base):
            return base(value)
    raise NotStorable(f"{path} is {_name(value)}, which JSON does not have")


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, int | np.integer) and type(key) is not bool:
        return str(int(key))
    raise NotStorable(
        f"{path} has the key {str(key)[:40]!r}, which is {_name(key)}: keys must be text or whole numbers"
    )


def _name(value: Any) -> str:
    name = str(type(value).__name__)[:40]
    return f"an {name}" if name[:1] in "aeio" else f"a {name}"


def floated(value: Any, what: str) -> Any:
    """Return ``value`` with every leaf as a float, for ``get_theta(all_float=True)``; raises ``NotStorable``."""
    if isinstance(value, dict):
        return {key: floated(part, what) for key, part in value.items()}
    if isinstance(value, list):
        return [floated(part, what) for part in value]
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):
        raise NotStorable(f"{what} holds {str(value)[:40]!r}, which all_float=True cannot make a number") from None
