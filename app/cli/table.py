"""The table that ``thetaloop simulate`` prints: one line for each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

from app.analysis.intervals import BOOTSTRAP_FROM, MeanInterval
from app.analysis.summary import TOTAL, Spread, arms_table, regrets
from app.domain.simulation import Plan, RepetitionResult

_FIXED_BELOW = 1e15
_FEW = (
    "With fewer than {least} repetitions the interval of the mean regret is a rough guide: regret is skewed, and such\n"
    "intervals contain the true mean less often than 95 % of the time. Look at the quantiles, or repeat {least} times."
)


def table(results: Sequence[RepetitionResult], expected: Mapping[str, float], plan: Plan) -> str:
    """Return the table: by arm its pulls per repetition, mean reward and, where it is known, mean regret.

    Intervals are of 95 %. Below the table is the regret of all arms, over repetitions with median and quantiles.
    """
    lost = regrets(results, expected)
    arms = arms_table(results)
    lines = [["arm", "pulls", "share", "mean reward", "95 % interval", *(["regret"] if lost else [])]]
    for name, row in arms.items():
        cells = [name, f"{row['pulls'] / plan.repeat:,.{int(plan.repeat > 1)}f}", f"{row['share']:.1%}", *_reward(row)]
        lines.append(cells + ([_number(lost[name].mean, lost[name].interval)] if lost else []))
    times = f", {plan.repeat} repetitions" if plan.repeat > 1 else ""
    parts = [f"{plan.n:,} draws, seed {plan.seed}{times}", _aligned(lines)]
    if lost:
        parts.append(_total(lost[TOTAL], plan))
    elif expected:
        unknown = next(name for name in arms if name not in expected)
        parts.append(f"no regret, as no expected_reward is given for the arm {unknown}")
    return "\n\n".join(parts)


def _total(lost: Spread, plan: Plan) -> str:
    text = f"regret after {plan.n:,} draws: {_number(lost.mean, lost.interval)}"
    if plan.repeat == 1:
        return text
    if lost.interval is not None:
        text += f", 95 % interval of the mean {_range(lost.interval)}"
    low, median, high = (_number(value, lost.interval) for value in lost.quantiles)
    text += f"\nmedian {median}, 5 % to 95 % of the repetitions: {low} to {high}"
    return text if plan.repeat >= BOOTSTRAP_FROM else f"{text}\n{_FEW.format(least=BOOTSTRAP_FROM)}"


def _aligned(lines: list[list[str]]) -> str:
    """Put names to the left of their column and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    return "\n".join("  ".join(row).rstrip() for row in rows)


def _reward(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["mean_reward"] is None:
        return "-", "-"
    if "mean_reward_low" not in row:
        return _number(row["mean_reward"], None), "-"
    interval = MeanInterval(row["mean_reward_low"], row["mean_reward_high"])
    return _number(row["mean_reward"], interval), _range(interval)


def _range(interval: MeanInterval) -> str:
    return f"{_number(interval.low, interval)} to {_number(interval.high, interval)}"


def _number(value: float, interval: MeanInterval | None) -> str:
    """Return the number to the digits that its interval supports: two of half the interval's width.

    >>> _number(1e9 + 0.0211, MeanInterval(1e9 - 0.02, 1e9 + 0.06)), _number(1534.2, MeanInterval(0, 3e3))
    ('1000000000.021', '1534')
    >>> _number(2 / 3, None)
    '0.6667'
    """
    width = (interval.high - interval.low) / 2 if interval is not None else 0.0
    if not width > 0 or abs(value) >= _FIXED_BELOW:
        return f"{value:.4g}"
    decimals = max(0, 1 - floor(log10(width)))
    return f"{value:.{min(decimals, 15)}f}"
