"""What an experiment learned, how often it was called, and its logs as streams."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from app.dialects.streamingbandit import wire
from app.domain.experiment import Experiment
from app.errors import InvalidParameter
from app.http.base import JsonHandler
from app.services.statistics import Page

_encode = msgspec.json.Encoder().encode
_FLUSH_BYTES = 64 * 2**10
_MAX_ROWS = 10_000_000
_TYPES = {
    "json": "application/json; charset=UTF-8",
    "jsonl": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8",
}


@dataclass(frozen=True)
class Shape:
    """How the rows of a log travel: the columns of its CSV, and a row of it."""

    columns: tuple[str, ...]
    row: Callable[[dict[str, Any]], dict[str, Any]]


class StatisticsHandler(JsonHandler):
    """A call about an experiment of whoever is signed in."""

    async def owned(self, exp_id: str) -> Experiment:
        """The experiment."""
        return await self.services.experiments.find(await self.require_user(), exp_id)


class CurrentTheta(StatisticsHandler):
    """``/stats/EXP_ID/currenttheta``."""

    async def get(self, exp_id: str) -> None:
        """Theta as ``get_theta()`` gives it."""
        await self.owned(exp_id)
        self.send(await self.services.statistics.current_theta(exp_id, self.get_query_argument("name", "_theta")))


class SummaryHandler(StatisticsHandler):
    """``/stats/EXP_ID/summary``."""

    async def get(self, exp_id: str) -> None:
        """Counts and newest dates."""
        await self.owned(exp_id)
        self.send(wire.summary_row(await self.services.statistics.summary(exp_id)))


class LogHandler(StatisticsHandler):
    """A list, newest first, streamed: the memory it takes does not grow with the log."""

    shape: ClassVar[Shape]

    async def get(self, exp_id: str) -> None:
        """The rows as JSON, JSON lines or CSV."""
        await self.owned(exp_id)
        form = self.get_query_argument("format", "json")
        if form not in _TYPES:
            raise InvalidParameter("format", "expected json, jsonl or csv")
        page = await self.page(exp_id, self.get_query_argument("before", None), self._limit())
        if page.next_before is not None:
            self.set_header("X-Next-Before", page.next_before)
        self.set_header("Access-Control-Expose-Headers", "X-Next-Before")
        self.set_header("Content-Type", _TYPES[form])
        await {"json": self._json, "jsonl": self._lines, "csv": self._csv}[form](page)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page:
        """The rows to send."""
        raise NotImplementedError

    def _limit(self) -> int:
        """How many rows; 0 means all."""
        text = self.get_query_argument("limit", None)
        if text is None:
            return 0
        if not (text.isdecimal() and 1 <= int(text) <= _MAX_ROWS):
            raise InvalidParameter("limit", f"expected a whole number from 1 to {_MAX_ROWS:,}")
        return int(text)

    async def _json(self, page: Page) -> None:
        separator = b"["
        async for row in page.rows:
            await self._put(separator)
            await self._put_row(row)
            separator = b",\n"
        self.finish(b"[]" if separator == b"[" else b"]")

    async def _lines(self, page: Page) -> None:
        async for row in page.rows:
            await self._put_row(row)
            await self._put(b"\n")
        self.finish()

    async def _put_row(self, row: dict[str, Any]) -> None:
        await self._put(_encode(self.shape.row(row)))

    async def _csv(self, page: Page) -> None:
        line = io.StringIO()
        writer = csv.writer(line)
        writer.writerow(self.shape.columns)
        async for row in page.rows:
            cells = self.shape.row(row)
            writer.writerow([_cell(cells.get(column)) for column in self.shape.columns])
            await self._put(line.getvalue().encode())
            line.seek(0)
            line.truncate()
        self.finish(line.getvalue())

    async def _put(self, data: bytes) -> None:
        """Write, waiting for a slow reader whenever enough has gathered."""
        self.write(data)
        self._gathered = getattr(self, "_gathered", 0) + len(data)
        if self._gathered >= _FLUSH_BYTES:
            self._gathered = 0
            await self.flush()


def _cell(value: Any) -> Any:
    """A CSV cell: objects and lists as JSON."""
    return _encode(value).decode() if isinstance(value, dict | list) else value


class ActionLog(LogHandler):
    """``/stats/EXP_ID/actionlog``."""

    shape = Shape(wire.ACTION_COLUMNS, wire.action_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page:
        """Decisions."""
        return await self.services.statistics.decisions(exp_id, before, limit)


class RewardLog(LogHandler):
    """``/stats/EXP_ID/rewardlog``."""

    shape = Shape(wire.REWARD_COLUMNS, wire.reward_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page:
        """Accepted rewards."""
        return await self.services.statistics.rewards(exp_id, before, limit)


class ManualLog(LogHandler):
    """``/stats/EXP_ID/log``."""

    shape = Shape(("date", "data"), wire.log_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page:
        """What scripts logged."""
        return await self.services.statistics.logs(exp_id, before, limit)


class SimulationLog(LogHandler):
    """``/stats/EXP_ID/simulationlog``."""

    shape = Shape(wire.RUN_COLUMNS, wire.run_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page:
        """Simulations that were run with log_stats."""
        return await self.services.statistics.simulations(exp_id, before, limit)

    async def _put_row(self, row: dict[str, Any]) -> None:
        """A run with its theta and all its draws, piece by piece, as it may be larger than the memory."""
        simulations = self.services.simulations
        await self._put(_encode(self.shape.row(row | {"theta": await simulations.theta_of(row)}))[:-1] + b',"data":{')
        number = 0
        async for draw in simulations.logged(row):
            await self._put((b"," if number else b"") + b'"%d":' % number + _encode(draw))
            number += 1
        await self._put(b"}}")


class ErrorLog(LogHandler):
    """``/stats/EXP_ID/errors``."""

    shape = Shape(wire.ERROR_COLUMNS, wire.error_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page:
        """What went wrong in scripts."""
        return await self.services.statistics.errors(exp_id, before, limit)


class HourlyTheta(LogHandler):
    """``/stats/EXP_ID/hourlytheta``."""

    shape = Shape(("date", "theta"), wire.snapshot_row)

    async def page(self, exp_id: str, before: str | None, limit: int) -> Page:
        """Snapshots of theta."""
        name = self.get_query_argument("name", "_theta")
        return await self.services.statistics.hourly_theta(exp_id, name, before, limit)
