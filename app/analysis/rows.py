"""A row: one decision joined with its reward."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class JoinedRow:
    """One decision with its reward, in the order of decisions.

    Parameters
    ----------
    context, action
        As they were logged.
    propensity
        The declared probability of the action, or None.
    pmf
        ``{arm: p}`` of all arms, or None.
    reward
        A number, a list of numbers (one per position), an object with the field that counts, or None.
    default
        Whether the reward is the default one of a time-out.
    date
        When the decision was made.
    revision, status
        Of the experiment and of the decision.
    candidate
        ``{arm: p}`` of a candidate that was run elsewhere, or None.
    """

    context: Mapping[str, Any]
    action: Mapping[str, Any]
    propensity: float | None = None
    pmf: Mapping[str, float] | None = None
    reward: Any = None
    default: bool = False
    date: datetime | None = None
    revision: int = 0
    status: str | None = None
    candidate: Mapping[str, float] | None = None


_OBJECTS = ("context", "action", "pmf", "candidate")


def row_of(document: Any, number: int) -> JoinedRow:
    """The row of a JSON object; raises ValueError that names row ``number`` and what is wrong with it.

    A propensity may stand within the action. One that is no probability counts as none.

    >>> row_of({"action": {"arm": "a", "propensity": 0.5}, "reward": 1}, 1).propensity
    0.5
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"row {number}: must be an object")
    for name in _OBJECTS:
        if document.get(name) is not None and not isinstance(document[name], Mapping):
            raise ValueError(f"row {number}: {name} must be an object")
    action = document.get("action")
    if action is None:
        raise ValueError(f"row {number}: action is missing")
    return JoinedRow(
        context=document.get("context") or {},
        action=action,
        propensity=_probability(document.get("propensity", action.get("propensity"))),
        pmf=document.get("pmf"),
        reward=document.get("reward"),
        default=bool(document.get("default", document.get("status") == "defaulted")),
        date=date_of(document.get("date"), f"row {number}: date"),
        revision=document.get("revision", 0),
        status=document.get("status"),
        candidate=document.get("candidate"),
    )


def rows_of(documents: Iterable[Any]) -> list[JoinedRow]:
    """The rows of JSON objects, numbered from 1 in errors."""
    return [row_of(document, number) for number, document in enumerate(documents, 1)]


def date_of(value: Any, name: str) -> datetime | None:
    """A date from ISO 8601 text, in UTC where no zone is given.

    >>> date_of("2026-01-02T03:04:05Z", "from").isoformat()
    '2026-01-02T03:04:05+00:00'
    """
    if value is None or isinstance(value, datetime):
        return value
    try:
        date = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {value!r} must be a date in ISO 8601") from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def field_of(context: Mapping[str, Any], name: str) -> Any:
    """A field of a context by its name, or by a path with dots; None if it is absent.

    >>> field_of({"user": {"age": 7}, "a.b": 1}, "user.age"), field_of({"a.b": 1}, "a.b"), field_of({}, "x")
    (7, 1, None)
    """
    if name in context:
        return context[name]
    part: Any = context
    for step in name.split("."):
        if not isinstance(part, Mapping) or step not in part:
            return None
        part = part[step]
    return part


def reward_of(reward: Any, field: str, number: int) -> float:
    """The number of a reward, NaN if there is none; a list, one number per position, is summed.

    >>> reward_of({"value": 2}, "value", 1), reward_of([1, 0, 1], "value", 1), reward_of(True, "value", 1)
    (2.0, 2.0, 1.0)
    """
    value = reward.get(field) if isinstance(reward, Mapping) else reward
    if value is None:
        return math.nan
    parts = value if isinstance(value, list) and value else [value]
    if not all(isinstance(part, int | float) and math.isfinite(part) for part in parts):
        raise ValueError(f"reward: that of row {number} is {value!r} and must be a number, or a list of numbers")
    return float(sum(parts))


def _probability(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None
