"""All checks of one log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.analysis.arrays import Bools, Floats, check_level
from app.analysis.checks.changed import changed
from app.analysis.checks.check import HealthCheck
from app.analysis.checks.choice import arrival, choice
from app.analysis.checks.described import Described, described
from app.analysis.checks.drift import critical, drift
from app.analysis.estimate import z_value
from app.analysis.log import DecisionLog
from app.analysis.scores import arm_scores, available

EXPECTS = ("sometimes", "always")


@dataclass(frozen=True)
class CheckOptions:
    """Options of the checks.

    ``control`` is the arm that others are compared with, by default the first. ``expects`` says whether everybody
    sends a reward (``always``): only then is ``arrival`` checked. ``level`` sets the alarms of drift and change.
    """

    control: str | None = None
    expects: str = "sometimes"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.expects not in EXPECTS:
            raise ValueError(f"expects: {self.expects!r} must be one of {', '.join(EXPECTS)}")


@dataclass(frozen=True)
class ChecksResult:
    """The answer: checks, and what is merely described."""

    rows: int
    checks: tuple[HealthCheck, ...]
    described: tuple[Described, ...]
    excluded: Mapping[str, int] = field(default_factory=dict)


def check(
    log: DecisionLog,
    options: CheckOptions | None = None,
    *,
    arrived: Bools | None = None,
    delay: Floats | None = None,
    excluded: Mapping[str, int] | None = None,
) -> ChecksResult:
    """Run every check that the log allows.

    Parameters
    ----------
    log
        All decisions, NaN where there is no reward.
    arrived
        Which decisions were exposed or rewarded by somebody, shape (n,); by default those with a reward.
    delay
        Seconds from decision to reward, shape (n,), NaN where there is none.
    """
    options = options or CheckOptions()
    control = 0
    if options.control is not None:
        if options.control not in log.arms:
            raise ValueError(f"control: {options.control!r} is no arm of this log; there are {', '.join(log.arms)}")
        control = log.arms.index(options.control)
    found: list[HealthCheck] = []
    if log.pmf is not None:
        found += choice(log)
        if options.expects == "always":
            found += arrival(log, ~log.missing if arrived is None else arrived)
    rewarded = log.rows(~log.missing)
    scores = arm_scores(rewarded)
    for arm in range(len(log.arms)):
        if arm != control:
            there = available(rewarded, arm) & available(rewarded, control)
            found += _contrast(rewarded.rows(there), scores[there], arm, control, options.level)
    return ChecksResult(len(log), tuple(found), tuple(described(log, delay)), excluded or {})


def _contrast(log: DecisionLog, scores: Floats, arm: int, control: int, level: float) -> list[HealthCheck]:
    """Drift, novelty and change of one arm against the control; what cannot be computed is left out."""
    name, other = log.arms[arm], log.arms[control]
    found, each = [], drift(scores[:, arm] - scores[:, control])
    if each is not None:
        limit = critical(each.df, level)
        text = f"{name} minus {other} over ten blocks: Q {each.q:.3g} on {each.df} degrees of freedom, p {each.p:.3g}."
        found.append(HealthCheck("drift", name, text, None, each.p, each.q, limit, each.q > limit, True))
        limit = z_value(level) * each.se
        text = f"{name} minus {other} changes by {each.slope:.3g} per block (se {each.se:.3g}), p {each.slope_p:.3g}."
        found.append(
            HealthCheck("novelty", name, text, None, each.slope_p, each.slope, limit, abs(each.slope) > limit, True)
        )
    thirds = changed(log, arm, control, level)
    if thirds is not None:
        gap = max(thirds.first.low - thirds.last.high, thirds.last.low - thirds.first.high)
        text = (
            f"{name} minus {other} was in [{thirds.first.low:.3g}, {thirds.first.high:.3g}] at first and is in "
            f"[{thirds.last.low:.3g}, {thirds.last.high:.3g}] now."
        )
        found.append(HealthCheck("changed", name, text, None, None, gap, 0.0, thirds.changed, False))
    return found
