"""The log's formats and its bounds."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from app.observability.logging import JSON, LINES_PER_SECOND, MAX_CHARACTERS, PLAIN, FloodFilter, configure


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes; what was configured before comes back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level


def test_plain_lines_hold_time_level_and_message(stream: io.StringIO) -> None:
    configure(form=PLAIN, stream=stream)
    logging.getLogger("thetaloop").warning("mongod had died after %d s", 3)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("20")
    assert "warning" in line
    assert "mongod had died after 3 s" in line


def test_json_lines_are_objects_with_the_traceback_inside(stream: io.StringIO) -> None:
    configure(form=JSON, stream=stream)
    try:
        raise ValueError("deep down")
    except ValueError:
        logging.getLogger("thetaloop").exception("a job failed")
    row = json.loads(stream.getvalue())
    assert row["event"] == "a job failed"
    assert row["level"] == "error"
    assert "deep down" in row["exception"]


def test_a_long_message_is_cut_and_line_breaks_cannot_forge_a_line(stream: io.StringIO) -> None:
    configure(stream=stream)
    logging.getLogger("thetaloop").error("%s", "<" * 60_000)
    logging.getLogger("thetaloop").error("a\n2026-01-01 [info] all is well")
    first, second = stream.getvalue().splitlines()
    assert len(first) < MAX_CHARACTERS + 100
    assert "a\\n2026" in second


def test_tornado_repeats_nothing_that_callers_sent(stream: io.StringIO) -> None:
    configure(stream=stream)
    logging.getLogger("tornado.general").warning("Malformed HTTP message")
    assert stream.getvalue() == ""


def test_of_a_flood_ten_lines_a_second_are_written_and_the_rest_counted() -> None:
    stream, now = io.StringIO(), [0.0]
    handler = logging.StreamHandler(stream)
    handler.addFilter(FloodFilter(handler, clock=lambda: now[0]))
    log = logging.Logger("flood")
    log.addHandler(handler)
    for number in range(1_000):
        log.warning("call %d failed", number)
    log.warning("something else")
    now[0] = 1.0
    log.warning("call %d failed", 1_000)
    lines = stream.getvalue().splitlines()
    assert len(lines) == LINES_PER_SECOND + 3
    assert lines[-3:] == ["something else", "990 more lines like the next one were not written", "call 1000 failed"]
