"""Which errors of the driver mean that MongoDB is away, and their translation into ``StoreUnavailable``."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

from pymongo import errors

from app.errors import StoreUnavailable
from app.storage.documents import are_duplicates

P = ParamSpec("P")
T = TypeVar("T")

# Interrupted, shutting down, not primary, no longer primary, network or write concern failures inside the server, and
# snapshots that are too old or, after an election, not to be had yet.
_STATE_CHANGES = {6, 7, 64, 89, 91, 189, 239, 246, 262, 9001, 10107, 11600, 11602, 13435, 13436}


def is_outage(error: errors.PyMongoError) -> bool:
    """Whether the error means that MongoDB cannot be reached or has no primary now, rather than a fault of ours."""
    if isinstance(error, errors.ConnectionFailure | errors.ExecutionTimeout | errors.WTimeoutError):
        return True
    if isinstance(error, errors.BulkWriteError) and _lacks_only_majority(error.details):
        return True
    if isinstance(error, errors.OperationFailure) and error.code in _STATE_CHANGES:
        return True
    return bool(error.timeout)


def _lacks_only_majority(details: Any) -> bool:
    return are_duplicates(details) and bool(details["writeConcernErrors"])


@overload
def translate_outages(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]: ...


@overload
def translate_outages(method: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncIterator[T]]: ...


def translate_outages(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a coroutine function or an async generator function raise ``StoreUnavailable`` when MongoDB is away.

    Every public method of a collection class has this decorator, except for those that take part in a transaction:
    it needs the driver's errors with their labels.
    """
    return _stream(method) if inspect.isasyncgenfunction(method) else _call(method)


def _call(method: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    @functools.wraps(method)
    async def translated(*args: Any, **kwargs: Any) -> T:
        try:
            return await method(*args, **kwargs)
        except errors.PyMongoError as error:
            raise _translation(error) from error

    return translated


def _stream(method: Callable[..., AsyncGenerator[T, None]]) -> Callable[..., AsyncIterator[T]]:
    @functools.wraps(method)
    async def translated(*args: Any, **kwargs: Any) -> AsyncIterator[T]:
        try:
            # Whoever reads only a part lets go of the cursor at once.
            async with contextlib.aclosing(method(*args, **kwargs)) as rows:
                async for row in rows:
                    yield row
        except errors.PyMongoError as error:
            raise _translation(error) from error

    return translated


def _translation(error: errors.PyMongoError) -> Exception:
    return StoreUnavailable() if is_outage(error) else error
