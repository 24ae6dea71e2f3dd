"""The table of limits in docs/scripts.rst says what the code holds to."""

from __future__ import annotations

from pathlib import Path

from app.config import SETTINGS
from app.domain.values import MAX_DEPTH
from app.engine.runtime import ROUNDS
from app.sandbox import protocol
from app.sandbox.worker.script import NESTING_LIMIT
from policies.checks import MOST_VALUES

DOCS = Path(__file__).parents[3] / "docs"


def setting(name: str) -> str:
    return f"{next(one.default for one in SETTINGS if one.name == name):,}"


EXPECTED = {
    "Time of one script": f"({setting('sandbox.call_seconds')} s)",
    "Memory of its process": f"({setting('sandbox.memory_mb')} MiB,",
    "One script": f"{protocol.SCRIPT_LIMIT >> 10} KiB",
    "A context, action, reward or logged row": f"{protocol.ROW_LIMIT >> 10} KiB",
    "Levels of nesting in any of them, or in a theta": f"{MAX_DEPTH}",
    "One theta": f"{protocol.THETA_LIMIT >> 20} MiB",
    "Values in one theta, and in all that a call gives": f"{protocol.ITEM_VALUES:,} ",
    "All that one call gives": f"{protocol.ITEM_LIMIT >> 20} MiB",
    "A name, key or value of a theta": f"{protocol.NAME_LIMIT:,} characters",
    "Thetas that one ``get_theta`` returns": f"({setting('theta.range_max')})",
    "Thetas that one call writes": f"{protocol.WRITES:,}",
    "Rows that one call logs, or values it shows": f"{protocol.ROWS:,}",
    "Characters that one call prints": f"{protocol.PRINT_LIMIT:,};",
    "Experiments nested in one another": f"{NESTING_LIMIT}",
    "Thetas asked for one after another, each depending": f"{ROUNDS} times;",
    "Whole numbers": "64 bits",
    "Arms that a simulation tells apart": f"{protocol.ARMS - 1}, and {protocol.ARM_NAMES_LIMIT:,} characters",
    "Points of a simulation's series": f"{protocol.POINTS:,}",
}


def table() -> dict[str, str]:
    """The rows of the table, by their first column."""
    text = (DOCS / "scripts.rst").read_text(encoding="utf-8")
    lines = text[text.index(".. _limits:") : text.index("State belongs in theta")].splitlines()
    first, last = (place for place, line in enumerate(lines) if line.startswith("="))
    width = lines[first].index(" ")
    rows = [(line[:width].strip(), line[width:].strip()) for line in lines[first + 1 : last]]
    return {name: value for name, value in rows if value}


def test_the_documented_limits_are_those_of_the_code() -> None:
    documented = table()
    assert documented.keys() == EXPECTED.keys()
    for name, value in EXPECTED.items():
        shown = documented[name]
        assert value in shown, (name, shown)
        assert shown.startswith(value) or "``" in shown, (name, shown)


def test_what_policies_take_for_the_most_that_theta_can_hold_can_be_stored() -> None:
    assert MOST_VALUES < protocol.ITEM_VALUES
