"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HealthCheck:
    """One check of one arm.

    ``log_evidence`` is ln E now and ``value`` the figure that is compared with ``limit``; ``p`` is a p-value where
    there is one. ``valid_once`` marks checks whose error rate holds at one look only.
    """

    name: str
    arm: str
    text: str
    log_evidence: float | None = None
    p: float | None = None
    value: float | None = None
    limit: float | None = None
    alarm: bool = False
    valid_once: bool = False
