"""What callers send, as values within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import InvalidParameter
from app.http.arguments import ROW_BYTES, json_object, text, whole


@pytest.mark.parametrize(("value", "number"), [(3, 3), ("3", 3), (" 3 ", 3), (3.0, 3), ("-3", -3), ("003", 3)])
def test_whole_numbers_come_as_numbers_or_text(value: Any, number: int) -> None:
    assert whole("n", value, -10, 10) == number


@pytest.mark.parametrize(
    "value",
    [None, "", "x", "3.5", 3.5, True, [3], {}, 11, "11", "9" * 5_000, "٣", "²", "--3", "1_0", float("nan"), 1e300],
)
def test_whatever_else_is_refused_with_the_bounds(value: Any) -> None:
    with pytest.raises(InvalidParameter) as refused:
        whole("n", value, 1, 10)
    assert refused.value.message == "n: expected a whole number from 1 to 10"


def test_text_is_not_empty_and_not_too_long() -> None:
    assert text("t", "x" * 5, 5) == "x" * 5
    for value in (None, "", 7, "x" * 6):
        with pytest.raises(InvalidParameter, match=r"^t: "):
            text("t", value, 5)


def test_an_object_may_come_as_text_and_has_a_bound() -> None:
    assert json_object("context", '{"a": 1}') == {"a": 1}
    for value in ("x" * (ROW_BYTES + 1), {"a": "x" * ROW_BYTES}):
        with pytest.raises(InvalidParameter, match="context: expected at most 256 KiB"):
            json_object("context", value)
