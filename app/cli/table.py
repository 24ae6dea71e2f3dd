"""The table that ``thetaloop simulate`` prints: one line for each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.analysis.summary import INTERVAL, TOTAL, arms_table, regrets
from app.domain.simulation import Plan, RepetitionResult


def table(results: Sequence[RepetitionResult], expected: Mapping[str, float], plan: Plan) -> str:
    """Return the table: by arm its pulls per repetition, mean reward and, where it is known, regret."""
    lost = regrets(results, expected)
    lines = [["arm", "pulls", "share", "mean reward", *(["regret"] if lost else [])]]
    for name, row in arms_table(results).items():
        cells = [name, f"{row['pulls'] / plan.repeat:,.10g}", f"{row['share']:.1%}", _reward(row)]
        lines.append(cells + ([_spread(*lost[name])] if lost else []))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in lines)
    times = f", {plan.repeat} repetitions" if plan.repeat > 1 else ""
    total = f"\nregret after {plan.n:,} draws: {_spread(*lost[TOTAL])}" if lost else ""
    if expected and not lost:
        unknown = next(name for name in arms_table(results) if name not in expected)
        total = f"\nno regret, as no expected_reward is given for the arm {unknown}"
    return f"{plan.n:,} draws, seed {plan.seed}{times}\n\n{text}\n{total}".rstrip()


def _aligned(cells: list[str], widths: list[int]) -> list[str]:
    """Names to the left, numbers to the right."""
    first, *rest = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def _reward(row: Mapping[str, Any]) -> str:
    return "-" if row["mean_reward"] is None else _spread(row["mean_reward"], INTERVAL * row.get("standard_error", 0))


def _spread(mean: float, half: float) -> str:
    return f"{mean:.4g}" + (f" ± {half:.2g}" if half else "")
