"""Which bytes a Range header asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.ranges import UnsatisfiableRange, requested_range


@pytest.mark.parametrize(
    ("header", "first", "count"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=0-", 0, 10),
        ("bytes=9-", 9, 1),
        ("bytes=3-100", 3, 7),
        ("bytes=-1", 9, 1),
        ("bytes=-100", 0, 10),
        ("Bytes= 2-4 ", 2, 3),
    ],
)
def test_a_range_within_the_file_is_sent(header: str, first: int, count: int) -> None:
    part = requested_range(header, 10)
    assert part is not None
    assert (part.first, part.count) == (first, count)


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1-2,4-5", "lines=1-2", "bytes=--1",
     "bytes=1-2-3", "bytes=+1-2", "bytes=" + "9" * 5_000 + "-", "bytes=\u0661-"],
)  # fmt: skip
def test_what_is_no_single_range_of_bytes_is_ignored(header: str | None) -> None:
    assert requested_range(header, 10) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=11-12", 10), ("bytes=-0", 10),
                                              ("bytes=0-", 0), ("bytes=-5", 0)])  # fmt: skip
def test_a_range_without_any_byte_is_refused(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRange):
        requested_range(header, size)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30))
def test_a_range_is_the_slice_that_its_numbers_name(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    wanted = content[first : last + 1]
    if first >= size and last >= first:
        with pytest.raises(UnsatisfiableRange):
            requested_range(f"bytes={first}-{last}", size)
        return
    part = requested_range(f"bytes={first}-{last}", size)
    if last < first:
        assert part is None
    else:
        assert part is not None
        assert content[part.first : part.first + part.count] == wanted
