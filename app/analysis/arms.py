"""What makes two actions the same arm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values, equal text.

    >>> canonical({"b": 1.0, "a": [True, None]})
    '{"a":[true,null],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def arm_name(value: Any) -> str:
    """The name of an arm: text as it is, other plain values as ``str`` writes them, objects and lists canonically.

    Policies key their probabilities by ``str(arm)``, so plain values follow it.

    >>> arm_name("a"), arm_name(3), arm_name({"x": 1})
    ('a', '3', '{"x":1}')
    """
    return canonical(value) if isinstance(value, Mapping | list) else str(value)


def arm_of(action: Mapping[str, Any], key: str | None = None) -> str:
    """The arm of an action: the field ``key``, or all of it but the propensity.

    Raises ValueError where the action has no such field.

    >>> arm_of({"arm": "a", "propensity": 0.5}), arm_of({"arm": "a", "propensity": 0.5}, "arm")
    ('{"arm":"a"}', 'a')
    """
    if key is None:
        return canonical({name: part for name, part in action.items() if name != "propensity"})
    if key not in action:
        raise ValueError(f"action_key: the action has no field {key!r}")
    return arm_name(action[key])


def arm_field(action: Mapping[str, Any], pmf: Mapping[str, float], propensity: float | None) -> list[str]:
    """The fields of an action that may hold the arm which a pmf speaks of.

    They name an arm of the pmf whose probability is the declared propensity.

    >>> arm_field({"arm": "a", "text": "b"}, {"a": 0.25, "b": 0.75}, 0.25)
    ['arm']
    """
    names = {field: arm_name(part) for field, part in action.items() if field != "propensity"}
    return [field for field, name in names.items() if name in pmf and agrees(pmf[name], propensity)]


def agrees(p: float, propensity: float | None) -> bool:
    """Whether a pmf and a declared propensity are the same number, but for rounding."""
    return propensity is None or abs(p - propensity) <= 1e-12
