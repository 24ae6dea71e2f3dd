"""Rows with objects in them as a flat table: a column for each field, named by its path.

The columns are not known before the rows are read, and the rows may be more than fit into memory. So they are read
twice: once to find the columns, once to write them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

MAX_COLUMNS = 1_000
OTHER = "other_fields"
# Spreadsheets run a text that begins with one of these as a formula, and anonymous callers may have sent it. Where
# apostrophes stand before it one more is added, so that what was sent can be told from the table.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Table:
    """How rows of a log are sent: ``row`` makes the JSON object of one.

    ``columns`` are those of the CSV. The ones that are ``nested`` hold objects, and become a column for each field.
    ``open`` tables have columns for whatever else their rows hold.
    """

    columns: tuple[str, ...]
    row: Callable[[Any], dict[str, Any]]
    nested: tuple[str, ...] = ()
    open: bool = False

    @property
    def fixed(self) -> bool:
        """Whether the columns are known before any row is read."""
        return not (self.nested or self.open)


class Columns:
    """The columns of one CSV: first ``find`` those of all rows, then write the ``header`` and a ``line`` for each row.

    They stand in the order of the table, and fields of one column in that in which they were first seen. There are at
    most ``MAX_COLUMNS``; what has none of its own, the last cell of its row holds as a JSON object.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._found: dict[str, dict[str, None]] = {column: {} for column in table.columns}
        self._count = 0

    def find(self, row: dict[str, Any]) -> None:
        """Take note of the columns that a row needs."""
        for column, path, _ in self._cells(row):
            paths = self._found.get(column, {})
            if path not in paths and self._count < MAX_COLUMNS:
                self._found.setdefault(column, paths)[path] = None
                self._count += 1

    @property
    def header(self) -> list[str]:
        """The names as cells."""
        return [_text(name) for name in ([*self._names, self._other] if self._other else self._names)]

    def line(self, row: dict[str, Any]) -> list[Any]:
        """The cells of a row."""
        cells = {path: value for _, path, value in self._cells(row)}
        line = [_cell(cells.pop(name, None)) for name in self._names]
        return [*line, _cell(cells or None)] if self._other else line

    @cached_property
    def _names(self) -> list[str]:
        """All but the last; a nested column without any field stands there itself."""
        return [path for column, paths in self._found.items() for path in paths or [column]]

    @cached_property
    def _other(self) -> str:
        """The name of the last column; none where all are known."""
        name = "" if self._table.fixed else OTHER
        while name in self._names:
            name += "_"
        return name

    def _cells(self, row: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
        """Column, path and value of whatever is no object within a row."""
        for column, value in row.items():
            if column in self._table.columns and column not in self._table.nested:
                yield column, column, value
            elif column in self._table.nested and value is None:
                continue  # an object that is not there has no field, and needs no column
            elif column in self._table.nested or self._table.open:
                yield from ((column, path, leaf) for path, leaf in leaves(_escaped(column), value))


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    r"""The paths and values of what is no object within a value; lists are not taken apart, empty objects are none.

    >>> list(leaves("context", {"age": 3, "cart": {"items": [1], "a.b": None}, "more": {}}))
    [('context.age', 3), ('context.cart.items', [1]), ('context.cart.a\\.b', None)]
    """
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(f"{path}.{_escaped(name)}", part)
    else:
        yield path, value


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace(".", "\\.") if "." in name or "\\" in name else name


def csv_line(cells: list[Any]) -> bytes:
    """Cells as one line of CSV."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


def _cell(value: Any) -> Any:
    """A CSV cell: true, false, lists and objects as JSON, and no text that a spreadsheet takes for a formula."""
    if isinstance(value, str):
        return _text(value)
    return _encode(value).decode() if isinstance(value, dict | list | bool) else value


def _text(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text
