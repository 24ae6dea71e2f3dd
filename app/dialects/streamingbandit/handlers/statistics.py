"""What an experiment learned, how often it was called, and its logs as streams."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import msgspec

from app.dialects.streamingbandit import wire
from app.domain.decision import Decision, Reward
from app.domain.rows import ErrorRow, LogRow, StoredRun, ThetaSnapshot
from app.http.arguments import whole
from app.http.base import JsonHandler
from app.http.streaming import RowsHandler, Table, format_of
from app.services.statistics import Page

_encode = msgspec.json.Encoder().encode
_MAX_ROWS = 10_000_000
_CURSOR = "X-Next-Before"


class CurrentTheta(JsonHandler):
    """``/stats/EXP_ID/currenttheta``."""

    async def get(self, exp_id: str) -> None:
        """Theta as ``get_theta()`` gives it."""
        await self.owned(exp_id)
        self.send(await self.services.statistics.current_theta(exp_id, self.get_query_argument("name", "_theta")))


class SummaryHandler(JsonHandler):
    """``/stats/EXP_ID/summary``."""

    async def get(self, exp_id: str) -> None:
        """Counts and newest dates."""
        await self.owned(exp_id)
        self.send(wire.summary_row(await self.services.statistics.summary(exp_id)))


class LogHandler(RowsHandler):
    """A list, newest first, as a stream."""

    table: ClassVar[Table]

    async def get(self, exp_id: str) -> None:
        """The rows as JSON, JSON lines or CSV."""
        await self.owned(exp_id)
        form = format_of("format", self.get_query_argument("format", "json"))
        page = await self.page(exp_id, self.get_query_argument("before", None), self._limit())
        if page.next_before is not None:
            self.set_header(_CURSOR, page.next_before)
        self.set_header("Access-Control-Expose-Headers", _CURSOR)
        await self.send_rows(page.rows, self.table, form)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[Any]:
        """The rows to send."""
        raise NotImplementedError

    def _limit(self) -> int:
        """How many rows; 0 means all."""
        given = self.get_query_argument("limit", None)
        return 0 if given is None else whole("limit", given, 1, _MAX_ROWS)


class ActionLog(LogHandler):
    """``/stats/EXP_ID/actionlog``."""

    table = Table(wire.ACTION_COLUMNS, wire.action_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[Decision]:
        """Decisions."""
        return await self.services.statistics.decisions(exp_id, before, limit)


class RewardLog(LogHandler):
    """``/stats/EXP_ID/rewardlog``."""

    table = Table(wire.REWARD_COLUMNS, wire.reward_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[Reward]:
        """Accepted rewards."""
        return await self.services.statistics.rewards(exp_id, before, limit)


class ManualLog(LogHandler):
    """``/stats/EXP_ID/log``."""

    table = Table(("date", "data"), wire.log_row)

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
        """A run with its theta and all its draws, piece by piece, as it may be larger than the memory."""
        simulations = self.services.simulations
        shown = table.row(replace(row, theta=await simulations.theta_of(row)))
        await self.write_piece(_encode(shown)[:-1] + b',"data":{')
        number = 0
        async for draw in simulations.logged(row):
            await self.write_piece((b"," if number else b"") + b'"%d":' % number + _encode(draw))
            number += 1
        await self.write_piece(b"}}")


class ErrorLog(LogHandler):
    """``/stats/EXP_ID/errors``."""

    table = Table(wire.ERROR_COLUMNS, wire.error_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[ErrorRow]:
        """What went wrong in scripts."""
        return await self.services.statistics.errors(exp_id, before, limit)


class HourlyTheta(LogHandler):
    """``/stats/EXP_ID/hourlytheta``."""

    table = Table(("date", "theta"), wire.snapshot_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page[ThetaSnapshot]:
        """Snapshots of theta."""
        name = self.get_query_argument("name", "_theta")
        return await self.services.statistics.hourly_theta(exp_id, name, before, limit)
