"""The log: one event a line, as plain text or JSON, on standard error.

Callers decide part of what is logged: paths, headers, the number of failing requests. So every line is cut to a bound,
and of one kind of line only so many a second are written; the others are counted, and the count is told.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from typing import IO, Any

import structlog

PLAIN, JSON = "plain", "json"
LINES_PER_SECOND = 10
MAX_CHARACTERS = 2_000
_MAX_KINDS = 1_000
_ROOT = logging.getLogger()


def configure(level: int = logging.INFO, form: str = PLAIN, stream: IO[str] | None = None) -> None:
    """Send all of the process's logs to ``stream`` (standard error), as ``plain`` text or ``json``.

    Replaces what was configured before. Children that the process forks inherit it.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(form))
    handler.addFilter(FloodFilter(handler))
    _ROOT.handlers[:] = [handler]
    _ROOT.setLevel(level)
    # Tornado repeats what callers sent; the server's own lines say what an operator needs.
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    logging.getLogger("tornado.general").setLevel(logging.ERROR)


def _formatter(form: str) -> logging.Formatter:
    stamp = structlog.processors.TimeStamper("iso", utc=True)
    before: list[Any] = [structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder(), stamp]
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if form == JSON:
        last += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        traceback = structlog.dev.plain_traceback
        last += [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=traceback)]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=last)


@dataclass
class _Kind:
    """What was logged of one kind of line in the second that began at ``since``."""

    since: float
    lines: int = 0
    dropped: int = 0


class FloodFilter(logging.Filter):
    """Lets ten lines a second of each kind through and cuts long ones.

    A kind is a logger, a level and a message before its arguments are filled in. The first line of a kind that follows
    dropped ones is preceded by a line that tells how many were dropped.
    """

    def __init__(self, handler: logging.Handler, clock: Any = time.monotonic) -> None:
        super().__init__()
        self._handler = handler
        self._clock = clock
        self._kinds: dict[tuple[str, int, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        now = self._clock()
        key = record.name, record.levelno, str(record.msg)[:200]
        if key not in self._kinds and len(self._kinds) >= _MAX_KINDS:
            self._kinds.clear()
        kind = self._kinds.setdefault(key, _Kind(now))
        if now - kind.since >= 1:
            dropped = kind.dropped
            self._kinds[key] = kind = _Kind(now)
            if dropped:
                self._tell(record, dropped)
        kind.lines += 1
        if kind.lines > LINES_PER_SECOND:
            kind.dropped += 1
            return False
        _cut(record)
        return True

    def _tell(self, record: logging.LogRecord, dropped: int) -> None:
        message = f"{dropped:,} more lines like the next one were not written"
        self._handler.emit(logging.LogRecord(record.name, record.levelno, "", 0, message, (), None))


def _cut(record: logging.LogRecord) -> None:
    """Bound what the line takes, and keep line breaks that a caller sent from starting another line."""
    message = record.getMessage()
    if len(message) > MAX_CHARACTERS:
        message = message[:MAX_CHARACTERS] + "..."
    if not message.isprintable():
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    record.msg, record.args = message, ()
