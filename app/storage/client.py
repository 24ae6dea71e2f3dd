"""The connection: what every read and write is held to, whatever the URI says, and how failures are named.

Writes are acknowledged by a majority with their journals on disk; reads see only what a majority holds. Both are set
on the database object in code, so no URI can weaken them.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Self

import bson
import pymongo
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from pymongo import AsyncMongoClient, ReadPreference, WriteConcern, errors, monitoring
from pymongo.asynchronous import pool
from pymongo.read_concern import ReadConcern

from app.errors import ConfigurationError, NotAReplicaSet, StoreUnavailable
from app.storage.elections import Elections

DURABLE = WriteConcern(w="majority", j=True)
MAJORITY = ReadConcern("majority")
# What a connection is called at MongoDB.
APPLICATION = "thetaloop"
_OPERATION_MS = 5_000
_DUPLICATE_KEY = 11000
_CHUNK_ROWS = 500
_CHUNK_BYTES = 8 * 2**20

Document = dict[str, Any]


class _PlainInt(TypeDecoder):
    """Integers of more than 32 bits come as a class of BSON's own, which nothing else can encode."""

    bson_type = Int64

    def transform_bson(self, value: Any) -> int:
        """As Python's own."""
        return int(value)


_PLAIN: CodecOptions[Document] = CodecOptions(tz_aware=True, type_registry=TypeRegistry([_PlainInt()]))

# For commands that answer with a document: with decoders of one's own, the driver trips over the error of a write
# concern that came with it, as in an election.
UNDECODED: CodecOptions[Document] = CodecOptions(tz_aware=True)


def connect(
    uri: str, database: str, listeners: list[monitoring.CommandListener] | None = None, *, streams: bool = False
) -> Any:
    """The database, through a client with our time limits; nothing is sent yet.

    One for ``streams`` has its time limits on the sockets: the driver makes any other limit part of each command, and
    for the next portion of a stream that is how long MongoDB waits for news.
    """
    try:
        client: AsyncMongoClient[Document] = AsyncMongoClient(
            uri,
            timeoutMS=None if streams else _OPERATION_MS,
            socketTimeoutMS=_OPERATION_MS if streams else None,
            serverSelectionTimeoutMS=_OPERATION_MS,
            connectTimeoutMS=_OPERATION_MS,
            retryWrites=True,
            retryReads=True,
            tz_aware=True,
            appname=APPLICATION,
            event_listeners=listeners or [],
        )
        return client.get_database(
            database,
            codec_options=_PLAIN,
            write_concern=DURABLE,
            read_concern=MAJORITY,
            read_preference=ReadPreference.PRIMARY,
        )
    except (errors.ConfigurationError, errors.InvalidName, errors.InvalidURI, ValueError) as error:
        raise ConfigurationError(f"mongodb.uri: {error}") from error


def time_limit(seconds: float) -> AbstractContextManager[Any]:
    """Within it, all calls to MongoDB together take no longer than ``seconds``."""
    return pymongo.timeout(max(seconds, 0.001))


def is_outage(error: errors.PyMongoError) -> bool:
    """Whether the error means that MongoDB cannot be reached or has no primary now, rather than a fault of ours."""
    if isinstance(error, errors.ConnectionFailure | errors.ExecutionTimeout | errors.WTimeoutError):
        return True
    if isinstance(error, errors.BulkWriteError) and _lacks_only_majority(error.details):
        return True
    if isinstance(error, errors.OperationFailure) and error.code in _STATE_CHANGES:
        return True
    return bool(error.timeout)


# Interrupted, shutting down, not primary, no longer primary, network or write concern failures inside the server, and
# snapshots that are too old or, after an election, not to be had yet.
_STATE_CHANGES = {6, 7, 64, 89, 91, 189, 239, 246, 262, 9001, 10107, 11600, 11602, 13435, 13436}


class Chunk:
    """Rows that are gathered until they are many or large."""

    def __init__(self) -> None:
        self.rows: list[Document] = []
        self._bytes = 0

    def add(self, row: Document) -> bool:
        """Add a row; whether the chunk is full now."""
        self.rows.append(row)
        self._bytes += len(bson.encode(row))
        return len(self.rows) >= _CHUNK_ROWS or self._bytes >= _CHUNK_BYTES


def only_duplicates(error: errors.BulkWriteError) -> bool:
    """Whether all that was wrong is that rows are there already, as after a repeat whose first answer was lost."""
    return _are_duplicates(error.details) and not error.details["writeConcernErrors"]


def _lacks_only_majority(details: Any) -> bool:
    return _are_duplicates(details) and bool(details["writeConcernErrors"])


def _are_duplicates(details: Any) -> bool:
    return all(fault["code"] == _DUPLICATE_KEY for fault in details["writeErrors"])


def _naming_outages(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def named(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except errors.PyMongoError as error:
            if is_outage(error):
                raise StoreUnavailable() from error
            raise

    return named


class Storage:
    """The base of the collection classes: their public coroutines raise ``StoreUnavailable`` when MongoDB is away.

    Those that take part in a transaction raise what the driver raises: the transaction needs its labels.
    """

    moment: Any = None  # a snapshot session, of those whose reads are all to show one moment

    def __init__(self, database: Any) -> None:
        self.db = database
        self.elections = Elections(database)

    def at(self, moment: Any) -> Self:
        """The same, but what the engine reads is read in a snapshot session: as it was at its first read."""
        other = copy.copy(self)
        other.moment = moment
        return other

    def __init_subclass__(cls) -> None:
        for name, method in list(vars(cls).items()):
            if name.startswith("_") or not inspect.iscoroutinefunction(method):
                continue
            if "session" not in inspect.signature(method).parameters:
                setattr(cls, name, _naming_outages(method))


async def require_replica_set(database: Any) -> None:
    """Refuse a MongoDB without transactions, or one that is not there."""
    try:
        hello = await database.client.admin.command("hello")
    except errors.OperationFailure as error:
        raise ConfigurationError(f"mongodb.uri: MongoDB refused the connection: {error}") from error
    except errors.PyMongoError as error:
        raise StoreUnavailable() from error
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise NotAReplicaSet()


async def _send(connection: Any, message: bytes) -> None:
    """What the driver does to send, without its ``asyncio.wait_for``: it never waits there."""
    await connection.write(message)


if sys.version_info < (3, 12):
    # Before Python 3.12 ``wait_for`` may swallow the cancellation of a task that is in it, which then goes on for ever.
    vars(pool)["async_sendall"] = _send
