"""An audit of propensities, whole, from decisions that were run again elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.analysis.audit.dispersion import Dispersion, dispersion
from app.analysis.audit.frequency import Executed, PropensityStratum, sticky, strata
from app.analysis.audit.mean_weight import MeanWeight, mean_weight
from app.analysis.log import TOLERANCE, DecisionLog


@dataclass(frozen=True)
class Difference:
    """A row that gave something else when it was run again with its own seed: the field, and both values."""

    id: str
    field: str
    logged: Any
    again: Any


@dataclass(frozen=True)
class Replay:
    """Exact replays: how many rows, how many gave the same, and which did not."""

    rows: int
    equal: int
    differs: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class SumDefect:
    """Declared propensities of a row's distinct actions: rows whose sum exceeds 1, and the largest sum."""

    rows: int
    largest: float | None


@dataclass(frozen=True)
class AuditResult:
    """The answer. ``verdict`` is ``agrees``, ``disagrees`` or ``cannot replay``; ``sticky`` counts rows left out."""

    rows: int
    draws: int
    strata: tuple[PropensityStratum, ...]
    replay: Replay | None
    dispersion: Dispersion | None
    sum_defect: SumDefect | None
    mean_weight: MeanWeight
    sticky: int
    verdict: str
    text: str


def audit(
    log: DecisionLog, rows: Sequence[Executed] = (), draws: int = 20, replay: Replay | None = None, impossible: int = 0
) -> AuditResult:
    """Judge whether decisions were made with the probabilities that they declare.

    Parameters
    ----------
    log
        All decisions, for the mean weight; rewards do not matter.
    rows
        Decisions that were run again with fresh seeds, of this audit and of all earlier ones.
    draws
        Runs of each.
    replay
        What exact replays came to.
    impossible
        Decisions that declare p = 0, which cannot be in ``log``.

    >>> import numpy as np
    >>> log = DecisionLog(("a", "b"), np.array([0, 1]), np.array([0.5, 0.5]), np.zeros(2))
    >>> audit(log, [Executed(1, "a", 0.5, 11)], replay=Replay(1, 1)).verdict
    'agrees'
    """
    if draws < 1:
        raise ValueError(f"draws: {draws!r} must be 1 or more")
    fresh = [row for row in rows if not sticky(row, draws)]
    found, weight, defect = strata(fresh, draws), mean_weight(log), sum_defect(fresh)
    alarms = [stratum for stratum in found if stratum.alarm]
    told = _findings(alarms, weight, defect, impossible)
    verdict, text = ("disagrees", " ".join(told)) if told else _judge(replay, len(rows))
    return AuditResult(
        rows=len(rows),
        draws=draws,
        strata=found,
        replay=replay,
        dispersion=dispersion(fresh, draws) if fresh else None,
        sum_defect=defect,
        mean_weight=weight,
        sticky=len(rows) - len(fresh),
        verdict=verdict,
        text=text,
    )


def sum_defect(rows: Sequence[Executed]) -> SumDefect | None:
    """Rows whose distinct actions declare more than 1 together. Less than 1 says that some action was never drawn."""
    totals = [row.total for row in rows if row.total is not None]
    if not totals:
        return None
    return SumDefect(sum(total > 1 + TOLERANCE for total in totals), max(totals))


def _findings(
    alarms: list[PropensityStratum], weight: MeanWeight, defect: SumDefect | None, impossible: int
) -> list[str]:
    """What disagrees with what was declared, in sentences."""
    told = [
        f"Arm {one.arm} of revision {one.revision} declares {one.p:.3g} and was chosen in {one.y} of {one.n} runs."
        for one in alarms
    ]
    if impossible:
        told.append(f"{impossible} decisions declare the probability 0 for what they chose.")
    if defect is not None and defect.rows:
        told.append(f"In {defect.rows} decisions the propensities of the actions sum to more than 1.")
    if weight.alarm:
        told.append(f"Weights of the uniform policy average {weight.mean:.3g}: propensities are declared too small.")
    return told


def _judge(replay: Replay | None, rows: int) -> tuple[str, str]:
    """The verdict where nothing disagrees."""
    if replay is not None and replay.equal < replay.rows:
        return "cannot replay", (
            f"{replay.rows - replay.equal} of {replay.rows} decisions gave something else with their own seed: the "
            "script reads a clock, a generator that is not seeded, or state that is not in theta."
        )
    if not rows:
        return "agrees", "The weights agree with the declared propensities; no decision was run again."
    return "agrees", "What was run again agrees with what was declared."
