"""When the jobs run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Times:
    """Seconds between the runs of each job; see the settings ``jobs.*``."""

    snapshot: float
    timeouts: float
    fold: float
    purge: float
    purge_after: float

    @property
    def snapshot_tick(self) -> float:
        """How often to look whether a new interval has begun."""
        return min(10.0, self.snapshot / 5)

    def interval_of(self, time: datetime) -> datetime:
        """When the interval of the clock began that ``time`` lies in.

        >>> Times(3600, 10, 60, 10, 60).interval_of(datetime(2026, 1, 1, 9, 41, tzinfo=UTC)).isoformat()
        '2026-01-01T09:00:00+00:00'
        """
        step = timedelta(seconds=self.snapshot)
        return _EPOCH + (time - _EPOCH) // step * step
