"""The messages between the server and a worker: a length of four bytes, then MessagePack.

The server asks, the worker answers each frame exactly once and never speaks by itself. Both sides decode into typed
messages, so anything that does not fit the schema is an error before its content is looked at. Thetas travel as
MessagePack inside the message, so that neither side parses what it only passes on.
"""

from __future__ import annotations

from typing import Any

import msgspec

FRAME_LIMIT = 64 * 2**20  # server to worker: a batch and the thetas it needs
REPLY_LIMIT = 24 * 2**20
ROW_LIMIT = 256 * 2**10  # one context, action, reward or logged row
THETA_LIMIT = 4 * 2**20
ITEM_LIMIT = 6 * 2**20  # everything that one item gives back
BATCH_LIMIT = 8 * 2**20  # what a frame's items give back; the rest is put off to the next frame
SCRIPT_LIMIT = 256 * 2**10

RangeName = tuple[str, str, str | None]  # experiment, name, key: all values of the key, or with None all keys


class Message(msgspec.Struct, array_like=True, tag=True, forbid_unknown_fields=True):
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


class Run(Message):
    """Run ``script`` of the experiment ``exp_id`` for each item.

    First ``settle`` says whether what the last kept frames wrote was committed (``promote``) or not (``drop``), then
    ``clear`` forgets every committed theta, and ``programs``, ``thetas`` and ``complete`` add to what the worker holds.
    With ``keep`` the items see each other's writes, which then wait to be settled.
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


class Check(Message):
    """Compile the scripts and say what is wrong with them."""

    scripts: dict[str, str]


class Done(Message):
    """The script ran: what it filled, wrote and logged, and the experiments whose theta it read or wrote."""

    number: int
    result: dict[str, Any]
    writes: list[Entry]
    logs: list[dict[str, Any]]
    debug: list[Any]
    touched: list[str]


class Failed(Message):
    """The script raised or ran too long; ``fatal`` asks for a new worker."""

    number: int
    script: str
    message: str
    line: int | None
    source: str | None
    fatal: bool


class Missed(Message):
    """The script needs thetas or programs that the worker does not hold."""

    number: int
    thetas: list[tuple[str, str, str | None, str | None]]
    ranges: list[RangeName]
    programs: list[str]


class PutOff(Message):
    """The frame's time or space was used up before this item's turn; it was not run."""

    number: int


class Fault(msgspec.Struct):
    """Something wrong with a script, at a line and column counted from 1."""

    script: str
    line: int
    column: int
    message: str


class Checked(Message):
    """The answer to ``Check``."""

    faults: list[Fault]


class Reply(Message):
    """The answer to ``Run``: one outcome per item."""

    outcomes: list[Done | Failed | Missed | PutOff]


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Run | Check).decode
decode_reply = msgspec.msgpack.Decoder(Reply | Checked).decode
decode_outcome = msgspec.msgpack.Decoder(Done | Failed | Missed | PutOff).decode


def framed(payload: bytes) -> bytes:
    """The payload with its length in front."""
    return len(payload).to_bytes(4, "big") + payload
