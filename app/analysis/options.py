"""Checks of the options that come in as JSON, with errors that name the option."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, TypeVar

from app.analysis.arrays import check_bounds

T = TypeVar("T")


@dataclass(frozen=True)
class RewardOption:
    """Which number of a reward counts, and what is promised of it.

    ``field`` is the field of the reward; a reward that is a number is that number. ``lo`` and ``hi`` are the least and
    the largest reward that is possible, ``default`` what a missing one counts as where ``missing`` says so.
    """

    field: str = "value"
    lo: float | None = None
    hi: float | None = None
    default: float | None = None

    @classmethod
    def of(cls, document: Any) -> RewardOption:
        """From JSON; raises ValueError for anything that cannot be."""
        if not isinstance(document, Mapping):
            raise ValueError('reward: must be an object such as {"field": "value", "lo": 0, "hi": 1}')
        known(document, ("field", "lo", "hi", "default"), "reward.")
        if not isinstance(document.get("field", "value"), str):
            raise ValueError("reward.field: must be text")
        ends = {name: number(document.get(name), f"reward.{name}", None) for name in ("lo", "hi", "default")}
        if ends["lo"] is not None or ends["hi"] is not None:
            check_bounds(ends["lo"], ends["hi"])
        return cls(document.get("field", "value"), **ends)


def known(document: Mapping[str, Any], names: Sequence[str], prefix: str = "") -> None:
    """Raises ValueError for an option that does not exist.

    >>> known({"levle": 0.9}, ["level", "seed"])
    Traceback (most recent call last):
    ValueError: levle: there is no such option; there are level, seed
    """
    for name in document:
        if name not in names:
            raise ValueError(f"{prefix}{name}: there is no such option; there are {', '.join(names)}")


def number(value: Any, name: str, default: float | None) -> float | None:
    """A finite number, or ``default`` where the option is absent or null."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name}: {value!r} must be a finite number")
    return float(value)


def options_of(kind: type[T], document: Mapping[str, Any]) -> T:
    """A dataclass of options from JSON; fields say by their annotations what each must be.

    Raises ValueError for unknown names and for values of another type.
    """
    there: list[Field[Any]] = [field for field in fields(kind) if field.init]  # type: ignore[arg-type]
    known(document, [field.name for field in there])
    return kind(**{field.name: _value(field, document[field.name]) for field in there if field.name in document})


def _value(field: Field[Any], value: Any) -> Any:
    kinds = str(field.type).split(" | ")
    if value is None:
        if "None" in kinds:
            return None
        return field.default if field.default is not MISSING else value
    for kind in kinds:
        found = _as(kind, value, field.name)
        if found is not None:
            return found
    raise ValueError(f"{field.name}: {value!r} must be {_WORDS.get(kinds[0], kinds[0])}")


_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "tuple[str, ...]": "a list of texts",
}


def _as(kind: str, value: Any, name: str) -> Any:
    """The value as this kind, or None if it is another."""
    if kind == "RewardOption":
        return RewardOption.of(value)
    if kind == "Any":
        return value
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if kind == "int":
        return value if isinstance(value, int) else None
    if kind == "float":
        return number(value, name, None) if isinstance(value, int | float) else None
    if kind == "str":
        return value if isinstance(value, str) else None
    if kind == "tuple[str, ...]" and isinstance(value, list):
        return tuple(value) if all(isinstance(part, str) for part in value) else None
    return None
