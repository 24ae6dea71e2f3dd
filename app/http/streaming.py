"""Answers that are written piece by piece: the memory they take does not grow with their length."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec

from app.errors import InvalidParameter
from app.http.base import JsonHandler
from app.http.csv_table import Columns, Table, csv_line

FLUSH_BYTES = 64 * 2**10
_SURVEYED_ROWS = 1_000_000
MEDIA_TYPES = {
    "json": "application/json; charset=UTF-8",
    "jsonl": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8",
}
_encode = msgspec.json.Encoder().encode


def format_of(parameter: str, value: str) -> str:
    """Return the format that a caller asks for; raise ``InvalidParameter`` unless it is one of ``MEDIA_TYPES``."""
    if value not in MEDIA_TYPES:
        raise InvalidParameter(parameter, "expected json, jsonl or csv")
    return value


class StreamingHandler(JsonHandler):
    """Writes an answer in pieces, and waits for readers that are slower than the server.

    Until ``held_bytes`` have gathered nothing is sent, so that an error can still be answered with its status.
    """

    held_bytes = FLUSH_BYTES
    _gathered = 0

    @property
    def begun(self) -> bool:
        """Whether a part of the answer, and with it its status, is sent already."""
        return self._headers_written

    async def write_piece(self, data: bytes) -> None:
        """Write a piece. Raises ``StreamClosedError`` once the reader is gone."""
        self.write(data)
        self._gathered += len(data)
        if self._gathered >= (FLUSH_BYTES if self.begun else self.held_bytes):
            self._gathered = 0
            await self.flush()


async def columns_of(rows: AsyncIterator[Any], table: Table) -> Columns:
    """Find the columns that rows need. Only ``_SURVEYED_ROWS`` are looked at, as the first byte waits for this."""
    columns, count = Columns(table), 0
    async for row in rows:
        columns.find(table.row(row))
        count += 1
        if count == _SURVEYED_ROWS:
            break
    return columns


class RowsHandler(StreamingHandler):
    """Answers with rows, as a JSON array, as JSON lines or as CSV.

    A failure after the first bytes breaks the connection off: half a list must not pass for a whole one.
    """

    async def send_rows(
        self, rows: AsyncIterator[Any], table: Table, form: str, columns: Columns | None = None
    ) -> None:
        """Send all rows in a format of ``MEDIA_TYPES``, and finish; ``columns`` are those of a CSV."""
        self.set_header("Content-Type", MEDIA_TYPES[form])
        if form == "json":
            await self._json(rows, table)
        elif form == "jsonl":
            await self._lines(rows, table)
        else:
            await self._csv(rows, table, columns or Columns(table))

    async def write_row(self, row: Any, table: Table) -> None:
        """Write one row as JSON; overridden where a row is itself too large for one piece."""
        await self.write_piece(_encode(table.row(row)))

    async def _json(self, rows: AsyncIterator[Any], table: Table) -> None:
        separator = b"["
        async for row in rows:
            await self.write_piece(separator)
            await self.write_row(row, table)
            separator = b",\n"
        self.finish(b"[]\n" if separator == b"[" else b"]\n")

    async def _lines(self, rows: AsyncIterator[Any], table: Table) -> None:
        async for row in rows:
            await self.write_row(row, table)
            await self.write_piece(b"\n")
        self.finish()

    async def _csv(self, rows: AsyncIterator[Any], table: Table, columns: Columns) -> None:
        async for piece in csv_lines(rows, table, columns):
            await self.write_piece(piece)
        self.finish()


async def json_lines(rows: AsyncIterator[Any], table: Table) -> AsyncGenerator[bytes, None]:
    """Give rows as JSON lines, piece by piece."""
    async for row in rows:
        yield _encode(table.row(row)) + b"\n"


async def csv_lines(rows: AsyncIterator[Any], table: Table, columns: Columns) -> AsyncGenerator[bytes, None]:
    """Give rows as CSV, piece by piece, the names of the columns first."""
    yield csv_line(columns.header)
    async for row in rows:
        yield csv_line(columns.line(table.row(row)))
