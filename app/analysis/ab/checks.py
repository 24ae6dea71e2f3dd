"""Checks of arguments. Each raises a :class:`ParameterError` that names the parameter and says what it must be."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any


class ParameterError(ValueError):
    """An argument that a statistic is not defined for.

    >>> raise ParameterError("alpha", "a number between 0 and 1", 2)
    Traceback (most recent call last):
    app.analysis.ab.checks.ParameterError: alpha must be a number between 0 and 1, not 2
    """

    def __init__(self, parameter: str, expected: str, value: Any) -> None:
        super().__init__(f"{parameter} must be {expected}, not {value!r}")
        self.parameter = parameter
        self.expected = expected


def finite(name: str, value: float) -> float:
    """The value, if it is a finite number."""
    if isinstance(value, bool) or not math.isfinite(value):
        raise ParameterError(name, "a finite number", value)
    return value


def positive(name: str, value: float) -> float:
    """The value, if it is a finite number above 0."""
    if not finite(name, value) > 0:
        raise ParameterError(name, "above 0", value)
    return value


def not_negative(name: str, value: float) -> float:
    """The value, if it is a finite number from 0 on."""
    if not finite(name, value) >= 0:
        raise ParameterError(name, "0 or more", value)
    return value


def between(name: str, value: float, low: float = 0.0, high: float = 1.0) -> float:
    """The value, if it lies in the open range from ``low`` to ``high``."""
    if not low < finite(name, value) < high:
        raise ParameterError(name, f"between {low:g} and {high:g}, without both ends", value)
    return value


def within(name: str, value: float, low: float = 0.0, high: float = 1.0) -> float:
    """The value, if it lies in the closed range from ``low`` to ``high``."""
    if not low <= finite(name, value) <= high:
        raise ParameterError(name, f"from {low:g} to {high:g}", value)
    return value


def whole(name: str, value: int, least: int, most: int | None = None) -> int:
    """The value, if it is a whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or value != int(finite(name, value)) or value < least or (most and value > most):
        raise ParameterError(name, f"a whole number from {least}" + (f" to {most}" if most else ""), value)
    return int(value)


def one_of(name: str, value: str, choices: Collection[str]) -> str:
    """The value, if it is one of the choices."""
    if value not in choices:
        raise ParameterError(name, " or ".join(map(repr, choices)), value)
    return value


def as_many(name: str, values: Sequence[Any], count: int, what: str) -> Sequence[Any]:
    """The values, if there is one for each of ``count`` things."""
    if len(values) != count:
        raise ParameterError(name, f"{count} values, one for each {what}", list(values))
    return values
