"""Rows that are read as they were stored: what scripts logged, their errors, revisions, snapshots, simulation runs.

The rows of the action and the reward log are ``app.domain.decision.Decision`` and ``Reward``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.experiment import ExperimentSpec


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


@dataclass(frozen=True)
class RevisionListItem:
    """A revision as a list shows it: its number, who saved it when, and the note on it."""

    revision: int
    date: datetime
    user: str
    note: str


@dataclass(frozen=True)
class Revision(RevisionListItem):
    """A revision with everything that was saved."""

    spec: ExperimentSpec


@dataclass(frozen=True)
class ThetaSnapshot:
    """The thetas of one name as they were at ``date``, in the form of ``get_theta()``."""

    date: datetime
    theta: dict[str, Any]


@dataclass(frozen=True)
class RunResults:
    """What a simulation has come to so far; ``series`` is None where it was not read.

    ``arms`` is a table by arm, ``series`` has lists by draws, see ``app.analysis.summary``. The regret is None where
    the expected rewards are unknown; the ends of its interval, its median and its 5 % and 95 % quantiles where the
    simulation was not repeated. The interval is also None where all repetitions have the same regret.
    """

    arms: dict[str, dict[str, Any]] = field(default_factory=dict)
    series: dict[str, Any] | None = None
    regret: float | None = None
    regret_low: float | None = None
    regret_high: float | None = None
    regret_median: float | None = None
    regret_q05: float | None = None
    regret_q95: float | None = None


@dataclass(frozen=True)
class StoredRun:
    """A simulation run: what was asked for, how far it is, and what it came to.

    ``status`` is ``running``, ``done``, ``failed`` or ``cancelled``; ``alive`` is when its server last showed a sign
    of life. ``theta`` is what the run has left, where it was read, and ``error`` says why it failed.
    """

    id: str
    exp_id: str
    user: str
    date: datetime
    revision: int
    n: int
    seed: int
    repeat: int
    start: str
    commit: bool
    log_stats: bool
    status: str
    done: int
    expected: dict[str, float] = field(default_factory=dict)
    logged: bool = False
    alive: datetime | None = None
    results: RunResults = field(default_factory=RunResults)
    theta: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class RunUpdate:
    """What has changed of a run; None where nothing has."""

    status: str | None = None
    done: int | None = None
    logged: bool | None = None
    results: RunResults | None = None
    error: dict[str, Any] | None = None
