"""What an experiment learned, how often it was called, and its logs as streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from app.dialects.streamingbandit import wire
from app.domain.decision import Decision, Reward, RewardedDecision
from app.domain.rows import ErrorRow, LogRow, StoredRun, ThetaSnapshot
from app.errors import InvalidParameter, NotFound
from app.http.arguments import whole
from app.http.base import JsonHandler
from app.http.csv_table import Columns, Table
from app.http.streaming import MEDIA_TYPES, RowsHandler, columns_of, csv_lines, format_of, json_lines
from app.services.statistics import Page, Statistics

_encode = msgspec.json.Encoder().encode
_MAX_ROWS = 10_000_000
_CURSOR = "X-Next-Before"


class CurrentTheta(JsonHandler):
    """``/stats/EXP_ID/currenttheta``."""

    async def get(self, exp_id: str) -> None:
        """Answer theta as ``get_theta()`` returns it."""
        await self.owned(exp_id)
        self.send(await self.services.statistics.current_theta(exp_id, self.get_query_argument("name", "_theta")))


class SummaryHandler(JsonHandler):
    """``/stats/EXP_ID/summary``."""

    async def get(self, exp_id: str) -> None:
        """Answer the counts and the dates of the newest calls."""
        await self.owned(exp_id)
        self.send(wire.summary_row(await self.services.statistics.summary(exp_id)))


class LogHandler(RowsHandler):
    """A list, newest first, as a stream."""

    table: ClassVar[Table]

    async def get(self, exp_id: str) -> None:
        """Send the rows as JSON, JSON lines or CSV."""
        await self.owned(exp_id)
        form = format_of("format", self.get_query_argument("format", "json"))
        place = self.get_query_argument("before", None), self._limit()
        page, columns = await self.page(exp_id, *place), None
        if form == "csv":
            log = self.route.rpartition("/")[2]
            self.set_header("Content-Disposition", f'attachment; filename="{log}-{exp_id}.csv"')
            if not self.table.fixed:
                columns = await columns_of((await self.page(exp_id, *place)).rows, self.table)
        if page.next_before is not None:
            self.set_header(_CURSOR, page.next_before)
        self.set_header("Access-Control-Expose-Headers", _CURSOR)
        await self.send_rows(page.rows, self.table, form, columns)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[Any]:
        """Return the rows from the cursor ``before`` on; ``limit`` 0 means all."""
        raise NotImplementedError

    def _limit(self) -> int:
        """Return how many rows are wanted; 0 means all."""
        given = self.get_query_argument("limit", None)
        return 0 if given is None else whole("limit", given, 1, _MAX_ROWS)


class ActionLog(LogHandler):
    """``/stats/EXP_ID/actionlog``."""

    table = Table(wire.ACTION_COLUMNS, wire.action_row, nested=("context", "action"))

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[Decision]:
        """Decisions."""
        return await self.services.statistics.decisions(exp_id, before, limit)


class RewardedDecisions(LogHandler):
    """``/stats/EXP_ID/decisions``."""

    table = Table(wire.DECISION_COLUMNS, wire.decision_row, nested=("context", "action", "reward"))

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[RewardedDecision]:
        """Decisions, each with the reward that came for it."""
        return await self.services.statistics.rewarded_decisions(exp_id, before, limit)


class RewardLog(LogHandler):
    """``/stats/EXP_ID/rewardlog``."""

    table = Table(wire.REWARD_COLUMNS, wire.reward_row, nested=("context", "action", "reward"))

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[Reward]:
        """Accepted rewards."""
        return await self.services.statistics.rewards(exp_id, before, limit)


class ManualLog(LogHandler):
    """``/stats/EXP_ID/log``."""

    table = Table(("date",), wire.log_row, open=True)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[LogRow]:
        """What scripts logged."""
        return await self.services.statistics.logs(exp_id, before, limit)


class SimulationLog(LogHandler):
    """``/stats/EXP_ID/simulationlog``."""

    table = Table(wire.RUN_COLUMNS, wire.run_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[StoredRun]:
        """Simulations that were run with log_stats."""
        return await self.services.statistics.simulations(exp_id, before, limit)

    async def write_row(self, row: Any, table: Table) -> None:
        """A run with its theta and each draw under its number, piece by piece: it may be larger than the memory."""
        simulations = self.services.simulations
        shown = table.row(replace(row, theta=await simulations.theta_of(row)))
        await self.write_piece(_encode(shown)[:-1])
        number = 0
        async for draw in simulations.logged(row):
            await self.write_piece(b',"%d":' % number + _encode(draw))
            number += 1
        await self.write_piece(b"}")


class ErrorLog(LogHandler):
    """``/stats/EXP_ID/errors``."""

    table = Table(wire.ERROR_COLUMNS, wire.error_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[ErrorRow]:
        """What went wrong in scripts."""
        return await self.services.statistics.errors(exp_id, before, limit)


class HourlyTheta(LogHandler):
    """``/stats/EXP_ID/hourlytheta``."""

    table = Table(("date", "theta"), wire.snapshot_row, nested=("theta",))

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[ThetaSnapshot]:
        """Snapshots of theta."""
        name = self.get_query_argument("name", "_theta")
        return await self.services.statistics.hourly_theta(exp_id, name, before, limit)


@dataclass(frozen=True)
class ExportedLog:
    """A log that can be written into a file: how its rows are sent, and the page that has all of them."""

    table: Table
    page: Callable[[Statistics, str, str | None, int], Awaitable[Page[Any]]]

    async def content(self, statistics: Statistics, exp_id: str, form: str) -> AsyncGenerator[bytes, None]:
        """Give the whole log as CSV or JSON lines, piece by piece."""

        async def rows() -> AsyncIterator[Any]:
            return (await self.page(statistics, exp_id, None, 0)).rows

        if form == "csv":
            columns = Columns(self.table) if self.table.fixed else await columns_of(await rows(), self.table)
            pieces = csv_lines(await rows(), self.table, columns)
        else:
            pieces = json_lines(await rows(), self.table)
        async for piece in pieces:
            yield piece


_EXPORTED = {
    "actionlog": ExportedLog(ActionLog.table, Statistics.decisions),
    "decisions": ExportedLog(RewardedDecisions.table, Statistics.rewarded_decisions),
    "rewardlog": ExportedLog(RewardLog.table, Statistics.rewards),
    "log": ExportedLog(ManualLog.table, Statistics.logs),
    "errors": ExportedLog(ErrorLog.table, Statistics.errors),
}


class ExportHandler(JsonHandler):
    """``/stats/EXP_ID/LOG/export``."""

    async def post(self, exp_id: str, name: str) -> None:
        """Begin to write the whole log into a file; answer its id, under which ``/files`` has it once it is whole."""
        experiment = await self.owned(exp_id)
        log = _EXPORTED.get(name.lower())
        if log is None:
            raise NotFound(f"there is no log {name!r} to export; expected one of {', '.join(_EXPORTED)}")
        form = self.json_body().get("format", "csv")
        if form not in ("csv", "jsonl"):
            raise InvalidParameter("format", "expected csv or jsonl")
        file_name = f"{name.lower()}-{exp_id}-{datetime.now(UTC):%Y-%m-%d}.{form}"
        content = log.content(self.services.statistics, exp_id, form)
        file = await self.services.exports.start(experiment, file_name, MEDIA_TYPES[form], content)
        self.send({"file": file})
