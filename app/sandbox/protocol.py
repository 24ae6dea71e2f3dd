"""The messages between the server and a worker: the frame's length and number, four bytes each, then MessagePack.

The server sends frames. The worker answers each one exactly once, under its number, and sends nothing else. Both sides
decode into typed messages, so anything that does not fit the schema is an error before its content is read. The server
reads answers in ``host.reply_validation`` only. Thetas are MessagePack inside the message, so that neither side decodes
what it only passes on.
"""

from __future__ import annotations

import struct
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

HEADER = struct.Struct(">II")
FRAME_LIMIT = 64 * 2**20  # server to worker: a batch and the thetas it needs
FRAME_ITEMS = 4_096
REPLY_LIMIT = 8 * 2**20
ROW_LIMIT = 256 * 2**10  # one context, action, reward or logged row
ROWS = 1_000  # rows that one item may log
WRITES = 10_000  # thetas that one item may write or ask for
NAME_LIMIT = 4_096  # characters in a name, key or value of a theta
THETA_LIMIT = 4 * 2**20
ITEM_LIMIT = 6 * 2**20  # everything that one item gives back
ITEM_VALUES = 200_000  # the same, counted in values: see ``value_count``
BATCH_LIMIT = 400_000  # bytes after which the rest of a frame's items is put off to the next frame
SCRIPT_LIMIT = 256 * 2**10
ARMS = 51  # that a simulation counts; the last of them stands for all others
ARM_NAMES_LIMIT = 256 * 2**10  # characters of the names of all these arms
PRINT_LIMIT = 16 * 2**10  # characters that one call may print
POINTS = 2_000  # of a simulation's series
FAULTS = 200  # that one check reports

Name = Annotated[str, Meta(max_length=NAME_LIMIT)]
Named = tuple[Name, Name, Name | None, Name | None]  # one theta: experiment, name, key, value
Sentence = Annotated[str, Meta(max_length=2_000)]
Printed = Annotated[str, Meta(max_length=PRINT_LIMIT)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Line = Annotated[int, Meta(ge=0, le=10**6)]
RangeName = tuple[str, str, str | None]  # experiment, name, key: all values of the key, or with None all keys


class WorkerMessage(msgspec.Struct, array_like=True, tag=True, forbid_unknown_fields=True):
    """The base of all messages."""


class Item(msgspec.Struct, array_like=True):
    """One call of a script: its place in the frame, its seed and what ``self`` holds."""

    number: int
    seed: int
    context: dict[str, Any]
    action: dict[str, Any]
    reward: dict[str, Any]


class Entry(msgspec.Struct, array_like=True):
    """One theta by its four names; ``theta`` is None where there is known to be none."""

    exp_id: str
    name: str
    key: str | None
    value: str | None
    theta: bytes | None


class RunScript(WorkerMessage):
    """Run ``script`` of the experiment ``exp_id`` for each item.

    Before that, in this order: ``settle`` says whether the writes of the last kept frames were committed (``promote``)
    or not (``drop``); ``clear`` removes every committed theta; ``programs``, ``thetas`` and ``complete`` add to
    what the worker holds. With ``keep`` the items see each other's writes, which then wait to be settled.
    """

    exp_id: str
    script: str
    items: list[Item]
    seconds: float
    keep: bool = False
    clear: bool = False
    settle: str = ""
    programs: dict[str, dict[str, str] | None] = {}
    thetas: list[Entry] = []
    complete: list[RangeName] = []
    too_wide: list[RangeName] = []


class CheckScripts(WorkerMessage):
    """Compile the scripts and report what does not compile; with ``lint`` also what would fail when they run."""

    scripts: dict[str, str]
    lint: bool


class SimulateDraws(WorkerMessage):
    """Make the draws from number ``first`` on, seeded from ``seed`` and their numbers, on thetas of this worker alone.

    The worker holds every theta: none is missing. A ``get_theta`` may return ``range_max`` of them. With
    ``rows`` every draw is shown; a point of the series stands after each ``step`` draws.
    """

    exp_id: str
    seed: str
    first: int
    count: int
    call_seconds: float
    range_max: int
    step: int
    rows: bool = False
    programs: dict[str, dict[str, str] | None] = {}
    thetas: list[Entry] = []


class Collect(WorkerMessage):
    """Return the thetas that the draws have left, from the one with this number on."""

    first: int


class Done(WorkerMessage):
    """The script ran: what it filled, wrote, logged and printed, and the experiments whose theta it read or wrote."""

    number: int
    result: dict[str, Any]
    writes: list[Entry]
    logs: list[dict[str, Any]]
    debug: list[Any]
    touched: list[str]
    printed: Printed = ""


class Failed(WorkerMessage):
    """The script raised or ran too long; ``fatal`` asks for a new worker."""

    number: int
    script: Name
    message: Sentence
    line: Line | None
    source: Sentence | None
    fatal: bool
    printed: Printed = ""


class Missed(WorkerMessage):
    """The script needs thetas or programs that the worker does not hold."""

    number: int
    thetas: Annotated[list[Named], Meta(max_length=WRITES)]
    ranges: Annotated[list[tuple[Name, Name, Name | None]], Meta(max_length=WRITES)]
    programs: Annotated[list[Name], Meta(max_length=WRITES)]


class PutOff(WorkerMessage):
    """The item was not run, because the frame's time or space was used up before it."""

    number: int


class Fault(msgspec.Struct):
    """Something wrong with a script, at a line and column counted from 1: an ``error``, or only a ``warning``."""

    script: Name
    line: Line
    column: Line
    message: Sentence
    severity: Literal["error", "warning"] = "error"


class Checked(WorkerMessage):
    """The answer to ``CheckScripts``."""

    faults: Annotated[list[Fault], Meta(max_length=FAULTS)]


class Arm(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """How often an arm was taken since the first draw, and the moments of those rewards that were numbers.

    ``binary`` says whether all of these were 0 or 1. The arms come in the order in which they were first taken.
    """

    name: Annotated[str, Meta(max_length=ARM_NAMES_LIMIT)]
    pulls: Count
    rewards: Count
    mean: float
    m2: float
    binary: bool


class Point(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a simulation stood after so many draws: the sum of all rewards, and the pulls of each arm so far."""

    draws: Count
    total: float
    pulls: Annotated[list[Count], Meta(max_length=ARMS)]


class Simulated(WorkerMessage):
    """The answer to ``SimulateDraws``: how many draws were made, and what came of them.

    Fewer than asked for may be made in one frame. If one failed, it is the one after those; if programs are missing, it
    was taken back and will be made again.
    """

    done: Count
    arms: Annotated[list[Arm], Meta(max_length=ARMS)]
    points: Annotated[list[Point], Meta(max_length=POINTS)]
    rows: list[msgspec.Raw]
    missed: Annotated[list[Name], Meta(max_length=WRITES)]
    failed: Failed | None


class Collected(WorkerMessage):
    """The answer to ``Collect``: some thetas, and whether there are more."""

    thetas: list[msgspec.Raw]
    more: bool


class Reply(WorkerMessage):
    """The answer to ``RunScript``: one outcome per item, each still encoded."""

    outcomes: Annotated[list[msgspec.Raw], Meta(max_length=FRAME_ITEMS)]


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(RunScript | CheckScripts | SimulateDraws | Collect).decode
decode_reply = msgspec.msgpack.Decoder(Reply | Checked | Simulated | Collected).decode


def framed(number: int, payload: bytes) -> bytes:
    """Return the payload with its length and the frame's number in front."""
    return HEADER.pack(len(payload), number) + payload
