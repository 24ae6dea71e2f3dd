"""Types of arrays, and results as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def to_json(value: Any) -> Any:
    """A result as JSON: dataclasses become objects, tuples lists, NaN and infinities null.

    A field named ``detail`` holds further fields and is merged into its object. Fields ending in ``_`` lose it.

    >>> from app.analysis.estimate import Estimate
    >>> to_json(Estimate(0.5, float("nan"), None, None, {"clip": 5.0}))
    {'value': 0.5, 'se': None, 'low': None, 'high': None, 'clip': 5.0}
    """
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        detail = named.pop("detail", {})
        return {str(name).rstrip("_"): to_json(part) for name, part in {**named, **detail}.items()}
    if isinstance(value, Mapping):
        return {str(key): to_json(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, tuple | list):
        return [to_json(part) for part in value]
    if isinstance(value, np.generic):
        return to_json(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_level(level: float) -> float:
    """The level of an interval; raises ValueError unless it lies strictly between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level: {level!r} must lie strictly between 0 and 1")
    return level


def check_bounds(lo: float | None, hi: float | None) -> tuple[float, float]:
    """Both bounds of the reward; raises ValueError where one is missing or they are not in order."""
    if lo is None or hi is None:
        raise ValueError("reward: lo and hi are needed: the least and the largest reward that is possible")
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        raise ValueError(f"reward: lo ({lo!r}) and hi ({hi!r}) must be finite, and lo below hi")
    return lo, hi
