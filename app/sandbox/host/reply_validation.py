"""The only reader of what workers answer, which it treats as written by a hostile script.

Every script can take over its worker, through ``ctypes`` and descriptor 3. Without this layer it could name another
owner's experiment among its thetas and have the server read or write them, or send something that fills the server's
memory or breaks the database's driver. So sizes are checked before content, every value is checked against what may be
stored, and only the experiments that the frame was about may be named. A script can still give false results for its
own experiment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw

from app.domain.experiment import SCRIPTS
from app.domain.moments import Moments
from app.domain.simulation import ArmTotals, SeriesPoint
from app.domain.values import fault
from app.sandbox.protocol import (
    ARM_NAMES_LIMIT,
    BATCH_LIMIT,
    ITEM_LIMIT,
    ITEM_VALUES,
    ROW_LIMIT,
    ROWS,
    THETA_LIMIT,
    WRITES,
    Collected,
    Done,
    Entry,
    Failed,
    Item,
    Missed,
    Name,
    Printed,
    PutOff,
    Reply,
    Simulated,
    SimulateDraws,
    decode_reply,
)
from app.sandbox.value_count import value_count, values_in

Outcome = Done | Failed | PutOff
# Above so many bytes, decoding would noticeably delay other calls.
_LONG = 64 * 2**10
_decode_value = msgspec.msgpack.Decoder().decode
T = TypeVar("T")
_one_long_reply = asyncio.Semaphore(1)


class _Entry(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    exp_id: Name
    name: Name
    key: Name | None
    value: Name | None
    theta: Annotated[bytes, Meta(max_length=THETA_LIMIT)] | None


class _Done(msgspec.Struct, array_like=True, tag="Done", forbid_unknown_fields=True):
    """``Done`` with its values still encoded, so that their sizes are known before they are decoded."""

    number: int
    result: Raw
    writes: Annotated[list[_Entry], Meta(max_length=WRITES)]
    logs: Annotated[list[Raw], Meta(max_length=ROWS)]
    debug: Annotated[list[Raw], Meta(max_length=ROWS)]
    touched: Annotated[list[Name], Meta(max_length=WRITES)]
    printed: Printed = ""


@dataclass
class Draws:
    """What one frame of a simulation gave; ``rows`` are context, action, reward and theta of each draw."""

    done: int
    arms: list[ArmTotals]
    points: list[SeriesPoint]
    rows: list[list[dict[str, Any]]]
    missed: list[str]
    failed: Failed | None


_decode_entry = msgspec.msgpack.Decoder(_Entry).decode
_decode_outcome = msgspec.msgpack.Decoder(_Done | Failed | Missed | PutOff).decode


class Forged(ValueError):
    """A worker answered what the worker's own code never answers; the message says what."""


async def read(payload: bytes | bytearray, items: Sequence[Item], known: Collection[str]) -> list[Outcome | Missed]:
    """Return the outcomes of these items, in order; they may name ``known`` experiments only.

    Raises ``Forged`` if they answer other items, name other experiments or hold what cannot be stored.
    """
    return await _read_aside(payload, lambda: _read(payload, items, known))


async def read_draws(payload: bytes | bytearray, asked: SimulateDraws) -> Draws:
    """Return what a frame of a simulation gave; raises ``Forged`` if it does not answer what was asked."""
    return await _read_aside(payload, lambda: _read_draws(payload, asked))


async def read_thetas(payload: bytes | bytearray, known: Collection[str]) -> tuple[list[Entry], bool]:
    """Return some of the thetas that a simulation has left, and whether there are more; raises ``Forged`` as above."""
    return await _read_aside(payload, lambda: _read_thetas(payload, known))


async def _read_aside(payload: bytes | bytearray, reader: Callable[[], T]) -> T:
    """Read what is short at once, and what is long in a thread, so that other calls do not wait."""
    try:
        if len(payload) <= _LONG:
            return reader()
        async with _one_long_reply:  # one at a time, as its size in memory is not known before it is decoded
            return await asyncio.to_thread(reader)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise Forged(str(error)) from error


def _read(payload: bytes | bytearray, items: Sequence[Item], known: Collection[str]) -> list[Outcome | Missed]:
    reply = decode_reply(payload)
    if not isinstance(reply, Reply) or len(reply.outcomes) != len(items):
        raise Forged("it answered something else than it was asked")
    room = BATCH_LIMIT + ITEM_VALUES
    outcomes: list[Outcome | Missed] = []
    for raw, item in zip(reply.outcomes, items, strict=True):
        outcome, values = _outcome(raw, item, known)
        room -= values
        if room < 0:
            raise Forged("it gave back too many values")
        outcomes.append(outcome)
    if isinstance(outcomes[0], PutOff):  # it would be asked again and again
        raise Forged("it put off all of its work")
    return outcomes


def _read_draws(payload: bytes | bytearray, asked: SimulateDraws) -> Draws:
    reply = decode_reply(payload)
    if not isinstance(reply, Simulated) or reply.done > asked.count:
        raise Forged("it answered something else than it was asked")
    if not (reply.done or reply.failed or reply.missed):  # it would be asked again and again
        raise Forged("it put off all of its work")
    if len(reply.rows) != (reply.done if asked.rows else 0):
        raise Forged("it shows other draws than it made")
    if reply.failed is not None and reply.failed.script not in SCRIPTS:
        raise Forged("it names a script that there is not")
    rows = [_shown_draw(raw) for raw in reply.rows]
    if sum(len(arm.name) for arm in reply.arms) > ARM_NAMES_LIMIT:
        raise Forged("its arms have longer names than it may keep")
    arms = [ArmTotals(arm.name, arm.pulls, Moments(arm.rewards, arm.mean, arm.m2), arm.binary) for arm in reply.arms]
    points = [SeriesPoint(point.draws, point.total, point.pulls) for point in reply.points]
    return Draws(reply.done, arms, points, rows, reply.missed, reply.failed)


def _shown_draw(raw: Raw) -> list[dict[str, Any]]:
    if len(raw) > ITEM_LIMIT:
        raise Forged("it gave back too much")
    row = _decode_value(raw)
    if type(row) is not list or [type(part) for part in row] != [dict] * 4:
        raise Forged("a draw is not context, action, reward and theta")
    for part in row[:3]:
        _require_storable(part, finite=True)
    _require_storable(row[3], finite=False)
    return row


def _read_thetas(payload: bytes | bytearray, known: Collection[str]) -> tuple[list[Entry], bool]:
    reply = decode_reply(payload)
    if not isinstance(reply, Collected) or (reply.more and not reply.thetas):
        raise Forged("it answered something else than it was asked")
    entries = [_decode_entry(raw) for raw in reply.thetas]
    _require(known, {entry.exp_id for entry in entries})
    for entry in entries:
        _require_storable(_theta(entry) or {}, finite=False)
    return [Entry(entry.exp_id, entry.name, entry.key, entry.value, entry.theta) for entry in entries], reply.more


def _outcome(raw: Raw, item: Item, known: Collection[str]) -> tuple[Outcome | Missed, int]:
    """Return the outcome of one item and how many values it holds, or an upper bound of that."""
    if len(raw) > ITEM_LIMIT:
        raise Forged("it gave back too much")
    outcome = _decode_outcome(raw)
    if outcome.number != item.number:
        raise Forged("it answered another item")
    if isinstance(outcome, _Done):
        return _done(outcome, known, len(raw))
    if isinstance(outcome, Missed):
        _require(known, {theta[0] for theta in outcome.thetas} | {range_[0] for range_ in outcome.ranges})
    elif isinstance(outcome, Failed) and outcome.script not in SCRIPTS:
        raise Forged("it names a script that there is not")
    return outcome, len(raw) if len(raw) <= ITEM_VALUES else 0


def _done(raw: _Done, known: Collection[str], length: int) -> tuple[Done, int]:
    _require(known, {*raw.touched, *(write.exp_id for write in raw.writes)})
    result, logs, debug = _row(raw.result), [_row(row) for row in raw.logs], [_value(each) for each in raw.debug]
    values = value_count(length, [result, logs, debug])
    for write in raw.writes:
        # Counted one by one, and none is kept: all of them together could fill the memory.
        theta = _theta(write)
        if length > ITEM_VALUES:
            values += values_in(theta)
            if values > ITEM_VALUES:
                raise Forged("it gave back too many values")
        _require_storable(theta, finite=True)
    writes = [Entry(write.exp_id, write.name, write.key, write.value, write.theta) for write in raw.writes]
    return Done(raw.number, result, writes, logs, debug, raw.touched, raw.printed), values


def _require(known: Collection[str], named: set[str]) -> None:
    if not named.issubset(known):
        raise Forged("it names an experiment that it was not given")


def _row(raw: Raw) -> dict[str, Any]:
    row = _value(raw)
    if type(row) is not dict:
        raise Forged("a row is not a dict")
    return row


def _value(raw: Raw) -> Any:
    if len(raw) > ROW_LIMIT:
        raise Forged("a row is too large")
    value = _decode_value(raw)
    _require_storable(value, finite=True)
    return value


def _theta(write: _Entry) -> Any:
    if any(fault(part) for part in (write.name, write.key, write.value) if part is not None):
        raise Forged("a theta's name holds a character that cannot be stored")
    if write.theta is None:
        return None
    theta = _decode_value(write.theta)
    if type(theta) is not dict:
        raise Forged("a theta is not a dict")
    return theta


def _require_storable(value: Any, finite: bool) -> None:
    problem = fault(value, finite=finite)
    if problem:
        raise Forged(problem)
