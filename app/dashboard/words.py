"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

_STEPS = ((60, "minute"), (3600, "hour"), (86_400, "day"), (30 * 86_400, "month"), (365 * 86_400, "year"))


def ago(date: datetime, now: datetime | None = None) -> str:
    """How long ago a moment was.

    >>> noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    >>> ago(noon, noon), ago(noon.replace(hour=11), noon), ago(datetime(2026, 4, 1, tzinfo=UTC), noon)
    ('just now', '1 hour ago', '1 month ago')
    """
    seconds = ((now or datetime.now(UTC)) - date).total_seconds()
    step = next((step for step in reversed(_STEPS) if seconds >= step[0]), None)
    if step is None:
        return "just now"
    count = int(seconds // step[0])
    return f"{count} {step[1]}{'' if count == 1 else 's'} ago"


def number(value: int) -> str:
    """A count with its thousands set apart.

    >>> number(1234567)
    '1,234,567'
    """
    return f"{value:,}"
