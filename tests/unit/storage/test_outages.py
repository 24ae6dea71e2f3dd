"""Errors of the driver, and which of them callers are to hear of as an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import errors

from app.errors import StoreUnavailable
from app.storage.outages import is_outage, translate_outages

AWAY = [
    errors.AutoReconnect(""),
    errors.ServerSelectionTimeoutError(""),
    errors.NotPrimaryError(""),
    errors.ExecutionTimeout("", 50),
    errors.OperationFailure("", 11600),
    errors.OperationFailure("", 10107),
    errors.WTimeoutError("", 64),
    errors.BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91}]}),
    errors.BulkWriteError({"writeErrors": [{"code": 11000}], "writeConcernErrors": [{"code": 91}]}),
]
OURS = [
    errors.OperationFailure("", 9),
    errors.DuplicateKeyError("", 11000),
    errors.InvalidOperation(""),
    errors.BulkWriteError({"writeErrors": [{"code": 11000}], "writeConcernErrors": []}),
    errors.BulkWriteError({"writeErrors": [{"code": 2}], "writeConcernErrors": [{"code": 91}]}),
]


class Rows:
    """Fails with an error after some rows."""

    def __init__(self, error: Exception | None, before: int = 0) -> None:
        self.error = error
        self.before = before
        self.closed = False

    @translate_outages
    async def one(self, number: int) -> int:
        """The same number, if there is no error."""
        if self.error:
            raise self.error
        return number

    @translate_outages
    async def several(self) -> AsyncIterator[int]:
        """Some numbers."""
        try:
            for number in range(self.before):
                yield number
            if self.error:
                raise self.error
        finally:
            self.closed = True


@pytest.mark.parametrize("error", AWAY, ids=repr)
@pytest.mark.parametrize("before", [0, 2])
def test_outages_become_errors_of_ours(error: Exception, before: int) -> None:
    rows, seen = Rows(error, before), []

    async def read() -> None:
        async for row in rows.several():
            seen.append(row)

    assert is_outage(error)  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable) as raised:
        asyncio.run(rows.one(1))  # type: ignore[arg-type]
    assert raised.value.__cause__ is error
    with pytest.raises(StoreUnavailable):
        asyncio.run(read())
    assert seen == list(range(before))


@pytest.mark.parametrize("error", OURS, ids=repr)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    async def read() -> list[int]:
        return [row async for row in Rows(error).several()]

    for work in (Rows(error).one(1), read()):
        with pytest.raises(type(error)):
            asyncio.run(work)  # type: ignore[arg-type]


def test_without_errors_nothing_changes() -> None:
    async def read() -> tuple[int, list[int]]:
        return await Rows(None).one(3), [row async for row in Rows(None, 4).several()]

    assert asyncio.run(read()) == (3, [0, 1, 2, 3])
    assert Rows.one.__doc__ == "The same number, if there is no error."


def test_whoever_stops_reading_closes_what_was_read_from() -> None:
    rows = Rows(None, 10)

    async def read() -> None:
        stream: Any = rows.several()
        assert await anext(stream) == 0
        await stream.aclose()
        assert rows.closed

    asyncio.run(read())
