"""From a result to plain values: rounded as its fields say, the exact numbers beside them under ``precise``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Digits:
    """How many decimals a field is shown with; a probability above 0 is never shown as 0."""

    decimals: int
    probability: bool = False


Rounded1 = Annotated[float, Digits(1)]
Rounded2 = Annotated[float, Digits(2)]
Rounded3 = Annotated[float, Digits(3)]
Rounded4 = Annotated[float, Digits(4)]
Rounded6 = Annotated[float, Digits(6)]
Rounded8 = Annotated[float, Digits(8)]
PValue = Annotated[float, Digits(6, probability=True)]


def to_answer(result: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON values, nested ones too.

    A class may have ``also``, a tuple of properties to show as well, and ``decimals``, a mapping of field names to
    other numbers of decimals. Numbers that are not finite become ``None``.

    >>> @dataclass(frozen=True)
    ... class Found:
    ...     effect: Rounded2
    ...     p_value: PValue
    >>> to_answer(Found(1.23456, 1.5e-9))
    {'effect': 1.23, 'p_value': 1.5e-09, 'precise': {'effect': 1.23456, 'p_value': 1.5e-09}}
    """
    kind: Any = type(result)
    rules = _rules(kind)
    decimals: Mapping[str, int] = getattr(result, "decimals", {})
    names = [field.name for field in fields(result)] + list(getattr(result, "also", ()))
    shown: dict[str, Any] = {}
    precise: dict[str, Any] = {}
    for name in names:
        value = getattr(result, name)
        rule = rules.get(name)
        if rule is None:
            shown[name] = _plain(value)
            continue
        rule = Digits(decimals.get(name, rule.decimals), rule.probability)
        shown[name], precise[name] = _rounded(value, rule), _plain(value)
    return shown | ({"precise": precise} if precise else {})


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return to_answer(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _rounded(value: Any, rule: Digits) -> Any:
    if isinstance(value, (list, tuple)):
        return [_rounded(each, rule) for each in value]
    if value is None or not math.isfinite(value):
        return None
    short = round(float(value), rule.decimals)
    if rule.probability and short == 0.0 < value:
        return float(f"{value:.3g}") or value
    return short + 0.0  # no negative zero


@cache
def _rules(kind: type) -> dict[str, Digits]:
    found = {}
    hints = get_type_hints(kind, include_extras=True)
    for name in getattr(kind, "also", ()):
        hints[name] = get_type_hints(getattr(kind, name).fget, include_extras=True)["return"]
    for name, hint in hints.items():
        rule = _rule(hint)
        if rule:
            found[name] = rule
    return found


def _rule(hint: Any) -> Digits | None:
    """The first rule within a type such as ``Rounded4 | None`` or ``tuple[Rounded4, ...]``."""
    if get_origin(hint) is Annotated:
        return next((each for each in hint.__metadata__ if isinstance(each, Digits)), None)
    return next((rule for each in get_args(hint) if (rule := _rule(each))), None)
