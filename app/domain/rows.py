"""Rows of the logs that owners read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class LogRow:
    """What a script wrote with ``log_data``; ``row`` is the id of the decision or reward whose script it was."""

    id: str
    exp_id: str
    date: datetime
    row: str
    data: dict[str, Any]


@dataclass(frozen=True)
class ErrorRow:
    """How a script failed: which revision, at which line, with which message and source line."""

    id: str
    exp_id: str
    date: datetime
    revision: int
    script: str
    line: int | None
    message: str
    source: str | None
