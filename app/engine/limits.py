"""The bounds within which the engine works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """See the settings of the same names; seconds and bytes."""

    call_seconds: float = 0.5
    timeout_seconds: float = 15.0
    queue_calls: int = 10_000
    queue_calls_per_experiment: int = 4_000
    queue_bytes: int = 64 * 2**20
    batch_calls: int = 256
    theta_range_max: int = 10_000
    theta_cache_bytes: int = 256 * 2**20
    # getaction may read theta and scripts that are this much behind the database; rewards never do.
    staleness_seconds: float = 0.5
    # News of heads are listened for until so long after the last call: a server without calls asks MongoDB nothing.
    listening_seconds: float = 5.0
