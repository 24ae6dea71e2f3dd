"""The arm of each row, and its probabilities by the same names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.analysis.arms import agrees, arm_field, arm_name, arm_of
from app.analysis.log import TOLERANCE
from app.analysis.rows import JoinedRow


@dataclass(frozen=True, slots=True)
class Named:
    """A row's arm and propensity, its pmf or None, and whether the arm is coarser than what the propensity is of."""

    arm: str
    propensity: float
    pmf: Mapping[str, float] | None
    coarse: bool = False


def named(rows: Sequence[JoinedRow], key: str | None = None) -> list[Named]:
    """The arms of rows that have a propensity.

    ``key`` names the field of the action that is the arm. Without it, it is the field that every pmf agrees with; if
    there is none, all of the action. A pmf that does not sum to 1 or disagrees with the propensity is dropped.

    >>> row = JoinedRow({}, {"arm": "a", "text": "hi"}, 0.25, {"a": 0.25, "b": 0.75})
    >>> named([row])[0].arm
    'a'
    """
    key = key if key is not None else _found_key(rows)
    found = [_named(row, key) for row in rows]
    if key is None or all(one.pmf is not None for one in found):
        return found
    # Without a pmf nothing says how likely a value is that several actions share.
    kinds = {arm_of(row.action) for row in rows}
    coarse = len(kinds) > len({one.arm for one in found})
    return [Named(one.arm, one.propensity, one.pmf, coarse) for one in found] if coarse else found


def _found_key(rows: Sequence[JoinedRow]) -> str | None:
    """The one field that holds an arm of the pmf in every row that has one."""
    keys: list[str] | None = None
    for row in rows:
        if row.pmf is not None:
            here = arm_field(row.action, row.pmf, row.propensity)
            keys = here if keys is None else [key for key in keys if key in here]
            if not keys:
                return None
    usable = [key for key in keys or [] if all(key in row.action for row in rows)]
    return usable[0] if usable else None


def _named(row: JoinedRow, key: str | None) -> Named:
    arm, p = arm_of(row.action, key), row.propensity or 0.0
    pmf = row.pmf if row.pmf is not None and _proper(row.pmf) else None
    if pmf is None:
        return Named(arm, p, None)
    if arm in pmf:
        return Named(arm, p, pmf if agrees(pmf[arm], p) else None)
    if key is not None and agrees(pmf.get(arm_of(row.action), -1.0), p):
        shared = _shared(pmf, key)
        if shared is not None:
            return Named(arm, shared[arm], shared)
    return Named(arm, p, None)


def _shared(pmf: Mapping[str, float], key: str) -> dict[str, float] | None:
    """The pmf of whole actions summed over those that share a field; None where an action has no such field."""
    found: dict[str, float] = {}
    for text, p in pmf.items():
        try:
            value = json.loads(text)[key]
        except (ValueError, TypeError, KeyError):
            return None
        found[arm_name(value)] = found.get(arm_name(value), 0.0) + p
    return found


def _proper(pmf: Mapping[str, float]) -> bool:
    numbers = all(isinstance(p, int | float) and not isinstance(p, bool) and 0 <= p <= 1 for p in pmf.values())
    return numbers and abs(sum(pmf.values()) - 1) <= TOLERANCE
