"""From rows to the columns of a log: which rows count, what their arms are, and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from app.analysis.arms import arm_name
from app.analysis.arrays import Bools, Floats, Ints
from app.analysis.log import DecisionLog
from app.analysis.naming import Named, named
from app.analysis.options import RewardOption
from app.analysis.rows import JoinedRow, date_of, field_of, reward_of


@dataclass(frozen=True)
class ReadOptions:
    """Which rows count, and as what.

    Parameters
    ----------
    reward
        The field that counts, and the bounds that are promised.
    unit
        ``"context.participant"``: rows that agree in it depend on each other.
    action_key
        The field of the action that is the arm; by default the one that the pmf speaks of, else the whole action.
    window, as_of
        A row counts once ``window`` hours have passed at ``as_of`` (by default the latest date), rewarded or not. No
        window: every row is finished.
    sticky
        Whether a unit keeps its first arm: then only first decisions count.
    from_, to, revisions
        Only decisions made from the one date on and before the other, and only those of some revisions.
    """

    reward: RewardOption = field(default_factory=RewardOption)
    unit: str | None = None
    action_key: str | None = None
    window: float | None = None
    as_of: str | datetime | None = None
    sticky: bool = False
    from_: str | datetime | None = None
    to: str | datetime | None = None
    revisions: Any = None

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 0:
            raise ValueError(f"window: {self.window!r} must be a number of hours, 0 or more")
        if self.sticky and self.unit is None:
            raise ValueError("unit: it is needed where assignment is sticky")
        if self.revisions is not None and not isinstance(self.revisions, list):
            raise ValueError("revisions: must be a list of revision numbers")


@dataclass(frozen=True, eq=False)
class Reading:
    """The log and what reading it met.

    ``excluded`` counts rows by reason, ``defaults`` default rewards by arm; ``arrived`` are the rows that somebody
    rewarded. ``coarse``: arms are coarser than what propensities are of. ``pmf_missing``: rows without a usable pmf.
    """

    log: DecisionLog
    excluded: Mapping[str, int]
    defaults: Mapping[str, int]
    arrived: Bools
    candidate: Floats | None
    coarse: bool
    pmf_missing: int


def read(rows: Sequence[JoinedRow], options: ReadOptions | None = None, fields: Iterable[str] = ()) -> Reading:
    """Columns of the rows that count; ``fields`` are the context fields that the analysis names.

    >>> good, bad = JoinedRow({}, {"arm": "a"}, 0.5, {"a": 0.5, "b": 0.5}, 1), JoinedRow({}, {"arm": "b"}, reward=0)
    >>> found = read([good, bad])
    >>> found.log.arms, found.log.reward.tolist(), found.excluded
    (('a', 'b'), [1.0], {'no_propensity': 1})
    """
    options = options or ReadOptions()
    excluded: Counter[str] = Counter()
    kept = _select(rows, options, excluded)
    names = named(kept, options.action_key)
    arms = sorted({one.arm for one in names} | {arm for one in names for arm in one.pmf or ()})
    extra = [] if not all(row.candidate for row in kept) else [row.candidate or {} for row in kept]
    arms = sorted({*arms, *(arm_name(arm) for pmf in extra for arm in pmf)})
    places = {arm: place for place, arm in enumerate(arms)}
    pmf, offered = _pmf(names, places)
    log = DecisionLog(
        tuple(arms),
        np.array([places[one.arm] for one in names], dtype=np.int64),
        np.array([one.propensity for one in names], dtype=float),
        _rewards(kept, options.reward),
        pmf,
        offered,
        None if options.unit is None else _units(kept, options.unit),
        {name: _column(kept, name) for name in fields},
        options.reward.lo,
        options.reward.hi,
    )
    defaults = Counter(one.arm for one, row in zip(names, kept, strict=True) if row.default)
    own = np.array([row.default for row in kept], dtype=bool)
    candidate = _table(extra, places) if extra else None
    coarse = any(one.coarse for one in names)
    missing = sum(one.pmf is None for one in names)
    return Reading(log, dict(excluded), dict(defaults), ~log.missing & ~own, candidate, coarse, missing)


def _select(rows: Sequence[JoinedRow], options: ReadOptions, excluded: Counter[str]) -> list[JoinedRow]:
    """The rows that count; the others are counted by their first reason."""
    begin, end = date_of(options.from_, "from"), date_of(options.to, "to")
    ripe = _ripe(rows, options)
    kept: list[JoinedRow] = []
    seen: set[Hashable] = set()
    for number, row in enumerate(rows, 1):
        if (begin or end) and row.date is None:
            raise ValueError(f"from, to: row {number} has no date")
        if row.date is not None and ((begin and row.date < begin) or (end and row.date >= end)):
            continue
        if options.revisions is not None and row.revision not in options.revisions:
            continue
        unit = _unit(row, options.unit) if options.sticky and options.unit else None
        reason = _reason(row, ripe, unit, seen)
        if options.sticky:
            seen.add(unit)
        if reason is None:
            kept.append(row)
        else:
            excluded[reason] += 1
    return kept


def _reason(row: JoinedRow, ripe: Callable[[JoinedRow], bool], unit: Hashable, seen: set[Hashable]) -> str | None:
    """Why a row does not count, or None."""
    if row.status == "undone":
        return "undone"
    if not ripe(row):
        return "immature"
    if unit in seen:
        return "sticky"
    if row.propensity is None:
        return "no_propensity"
    return "zero_propensity" if row.propensity == 0 else None


def _ripe(rows: Sequence[JoinedRow], options: ReadOptions) -> Callable[[JoinedRow], bool]:
    """Whether the window of a row is over; taking young rows that are rewarded would favour fast rewards."""
    if options.window is None:
        return lambda row: True
    for number, row in enumerate(rows, 1):
        if row.date is None:
            raise ValueError(f"window: row {number} has no date")
    dates = [row.date for row in rows if row.date is not None]
    as_of = date_of(options.as_of, "as_of") or max(dates, default=None)
    window = timedelta(hours=options.window)
    return lambda row: row.date is not None and as_of is not None and row.date + window <= as_of


def _rewards(rows: Sequence[JoinedRow], option: RewardOption) -> Floats:
    found = [
        reward_of(None if row.status == "timeout_failed" else row.reward, option.field, number)
        for number, row in enumerate(rows, 1)
    ]
    return np.array(found, dtype=float)


def _pmf(names: Sequence[Named], places: Mapping[str, int]) -> tuple[Floats | None, Bools | None]:
    """The pmf of all arms, and which arms were offered; None unless every row has one."""
    tables = [one.pmf for one in names if one.pmf is not None]
    if len(tables) < len(names) or not names:
        return None, None
    pmf, offered = _table(tables, places), np.zeros((len(names), len(places)), dtype=bool)
    for row, table in enumerate(tables):
        offered[row, [places[arm] for arm in table]] = True
    return pmf, None if offered.all() else offered


def _table(tables: Sequence[Mapping[str, float]], places: Mapping[str, int]) -> Floats:
    found = np.zeros((len(tables), len(places)))
    for row, table in enumerate(tables):
        for arm, p in table.items():
            found[row, places[arm]] = p
    return found


def _units(rows: Sequence[JoinedRow], name: str) -> Ints:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(_unit(row, name), len(numbers)) for row in rows], dtype=np.int64)


def _unit(row: JoinedRow, name: str) -> str:
    value = field_of(row.context, name.removeprefix("context."))
    if value is None:
        raise ValueError(f"unit: a row has no {name}")
    return arm_name(value)


def _column(rows: Sequence[JoinedRow], name: str) -> Any:
    """A context field, as numbers where all of it is, else as it is."""
    values = [field_of(row.context, name) for row in rows]
    if values and all(type(value) in (int, float) for value in values):
        return np.array(values, dtype=float)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
