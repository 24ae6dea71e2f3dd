"""Rows as a flat table."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.http.csv_table import MAX_COLUMNS, Columns, Table, csv_line

NESTED = Table(("date", "context", "seq"), dict, nested=("context",))
OPEN = Table(("date",), dict, open=True)
FIXED = Table(("date", "n"), dict)


def table_of(table: Table, rows: list[dict[str, Any]]) -> list[list[str]]:
    """The lines of a CSV, read back."""
    columns = Columns(table)
    for row in rows:
        columns.find(row)
    text = b"".join([csv_line(columns.header), *(csv_line(columns.line(row)) for row in rows)]).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def test_each_field_has_a_column_named_by_its_path() -> None:
    rows = [
        {"date": "d1", "context": {"age": 3}, "seq": 1},
        {"date": "d2", "context": {"cart": {"total": 2.5, "items": ["a", {"b": 1}]}, "age": None}, "seq": 2},
        {"date": "d3", "context": {}, "seq": 3},
    ]
    assert table_of(NESTED, rows) == [
        ["date", "context.age", "context.cart.total", "context.cart.items", "seq", "other_fields"],
        ["d1", "3", "", "", "1", ""],
        ["d2", "", "2.5", '["a",{"b":1}]', "2", ""],
        ["d3", "", "", "", "3", ""],
    ]


def test_a_column_that_is_empty_everywhere_stays_itself() -> None:
    assert table_of(NESTED, [{"date": "d", "context": {}, "seq": 1}])[0] == ["date", "context", "seq", "other_fields"]
    assert table_of(NESTED, []) == [["date", "context", "seq", "other_fields"]]


def test_a_fixed_table_has_its_columns_and_no_other() -> None:
    rows = [{"date": "d", "n": {"a": 1}, "more": 2}, {"date": "e"}]
    assert table_of(FIXED, rows) == [["date", "n"], ["d", '{"a":1}'], ["e", ""]]


def test_an_open_table_has_whatever_its_rows_hold() -> None:
    rows = [{"date": "d", "visits": 3, "page": "home"}, {"date": "e", "cart": {"n": True}, "other_fields": "own"}]
    assert table_of(OPEN, rows) == [
        ["date", "visits", "page", "cart.n", "other_fields", "other_fields_"],
        ["d", "3", "home", "", "", ""],
        ["e", "", "", "true", "own", ""],
    ]


def test_names_with_dots_are_told_from_paths() -> None:
    row = {"date": "d", "a.b": 1, "a": {"b": 2, "c\\d": 3}}
    assert table_of(OPEN, [row])[0] == ["date", "a\\.b", "a.b", "a.c\\\\d", "other_fields"]


def test_what_comes_beyond_the_columns_is_in_the_last_one_as_json() -> None:
    row = {"date": "d", **{f"field{number}": number for number in range(MAX_COLUMNS + 2)}}
    header, line = table_of(OPEN, [row])
    assert len(header) == MAX_COLUMNS + 1
    assert line[-1] == '{"field999":999,"field1000":1000,"field1001":1001}'
    columns = Columns(NESTED)
    assert columns.line({"date": "d", "context": {"late": 1}, "seq": 2}) == ["d", None, 2, '{"context.late":1}']


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_begins_a_formula(begin: str) -> None:
    row = {"date": begin + "1+1", begin + "name": [begin], "cart": {begin: begin}}
    header, line = table_of(OPEN, [row])
    assert header == ["date", f"'{begin}name", f"cart.{begin}", "other_fields"]
    assert line[0] == f"'{begin}1+1"
    assert line[2] == f"'{begin}"
    assert line[1].startswith('["')


def test_an_apostrophe_that_was_sent_can_be_told_from_one_that_was_added() -> None:
    sent = ["=1", "'=1", "''=1", "'a", "a"]
    lines = table_of(FIXED, [{"date": each} for each in sent])[1:]
    assert [line[0] for line in lines] == [f"'{each}" if "=" in each else each for each in sent]


def test_a_negative_number_stays_a_number() -> None:
    assert table_of(FIXED, [{"date": "d", "n": -1.5}])[1] == ["d", "-1.5"]


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)
NAMES = st.text("a.=\\'", max_size=2)
VALUES = st.recursive(SCALARS, lambda part: st.dictionaries(NAMES, part, max_size=3), max_leaves=6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=3))
def test_every_line_has_a_cell_for_each_column_and_no_column_stands_twice(fields: list[dict[str, Any]]) -> None:
    lines = table_of(OPEN, [{"date": "d", **each} for each in fields])
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(set(lines[0])) == len(lines[0])
    assert all(line[0] == "d" and line[-1] == "" for line in lines[1:])
