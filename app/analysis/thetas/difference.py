"""What two thetas differ in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.values import same_json

CLOSE = 1e-9  # how far the same events may lead apart on two kinds of processor


@dataclass(frozen=True)
class ThetaChange:
    """One theta before and after; None where it is absent.

    ``max_abs`` and ``max_rel`` are the largest differences of its numbers, None where more than numbers changed.
    """

    theta: str
    before: Any
    after: Any
    max_abs: float | None
    max_rel: float | None


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ThetaChange]:
    """Every theta that is not the same in both, by name.

    >>> list(differences({"a": {"n": 4.0}, "b": 1}, {"a": {"n": 5.0}, "b": 1}))
    [ThetaChange(theta='a', before={'n': 4.0}, after={'n': 5.0}, max_abs=1.0, max_rel=0.2)]
    """
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if name not in before or name not in after:
            yield ThetaChange(name, one, other, None, None)
        elif not same_json(one, other):
            gaps = _gaps(one, other)
            yield ThetaChange(name, one, other, *(gaps or (None, None)))


def first_difference(one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float = CLOSE) -> str | None:
    """The name of the first theta that differs by more than ``tolerance``, relatively, or None.

    >>> first_difference({"a": 1.0}, {"a": 1.0 + 1e-12}), first_difference({"a": 1.0}, {"a": 1.1})
    (None, 'a')
    """
    for change in differences(one, other):
        if change.max_rel is None or change.max_rel > tolerance:
            return change.theta
    return None


def _gaps(one: Any, other: Any) -> tuple[float, float] | None:
    """The largest absolute and relative difference of numbers in the same places; None if anything else differs."""
    if _is_number(one) and _is_number(other):
        gap, size = abs(one - other), max(abs(one), abs(other))
        return float(gap), float(gap / size) if size else 0.0
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return None
        pairs = [(one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = list(zip(one, other, strict=True))
    else:
        return (0.0, 0.0) if same_json(one, other) else None
    found = [_gaps(*pair) for pair in pairs]
    if any(gap is None for gap in found):
        return None
    there = [gap for gap in found if gap is not None]
    return max((gap[0] for gap in there), default=0.0), max((gap[1] for gap in there), default=0.0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
