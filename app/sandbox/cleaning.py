"""From what a script left behind to plain JSON values, inside the worker.

numpy's scalars and arrays become numbers and lists, tuples lists, whole-number keys text; anything else that JSON
does not have is an error that names where it was found. It is for honest scripts: without it their mistakes would come
back as answers that ``replies`` refuses, without a word on where the mistake is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from app.domain.values import MAX_DEPTH, fault


class NotStorable(Exception):
    """A value cannot be kept; the message says which and why."""


def cleaned(value: Any, what: str, *, finite: bool = True) -> Any:
    """``value`` as plain dicts, lists, numbers, text, booleans and None.

    >>> cleaned({1: np.float64(0.5), "a": (np.arange(2), True)}, "self.action")
    {'1': 0.5, 'a': [[0, 1], True]}
    """
    plain = _plain(value, what, MAX_DEPTH)
    problem = fault(plain, finite=finite)
    if problem:
        raise NotStorable(f"{what}: {problem}")
    return plain


def cleaned_dict(value: Any, what: str, *, finite: bool = True) -> dict[str, Any]:
    """The same for what must be a dict."""
    if type(value) is dict and _is_plain(value, finite):
        return value.copy()
    plain = cleaned(value, what, finite=finite)
    if type(plain) is not dict:
        raise NotStorable(f"{what} must be a dict, not {_name(value)}")
    return plain


def _is_plain(value: dict[Any, Any], finite: bool) -> bool:
    """Whether it certainly is what it should be already, as most dicts that scripts fill are; the rest is looked at."""
    for key, part in value.items():
        if type(key) is not str or not key.isascii() or key.startswith("$") or "\0" in key:
            return False
        kind = type(part)
        if kind is float:
            good = not finite or math.isfinite(part)
        elif kind is int:
            good = -(2**63) <= part < 2**63
        else:
            good = kind is bool or part is None or (kind is str and part.isascii())
        if not good:
            return False
    return True


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
        return _plain(value.tolist(), path, depth - 1)
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
    """``value`` with every leaf as a float, for ``get_theta(all_float=True)``."""
    if isinstance(value, dict):
        return {key: floated(part, what) for key, part in value.items()}
    if isinstance(value, list):
        return [floated(part, what) for part in value]
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):
        raise NotStorable(f"{what} holds {str(value)[:40]!r}, which all_float=True cannot make a number") from None
