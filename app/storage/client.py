"""The connection: what every read and write is held to, whatever the URI says.

Writes are acknowledged by a majority with their journals on disk; reads see only what a majority holds. Both are set
on the database object in code, so no URI can weaken them.
"""

from __future__ import annotations

import copy
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

import pymongo
from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.int64 import Int64
from pymongo import AsyncMongoClient, ReadPreference, WriteConcern, errors, monitoring
from pymongo.asynchronous import pool
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern

from app.errors import ConfigurationError, NotAReplicaSet, StoreUnavailable
from app.storage.documents import Document
from app.storage.elections import Elections

DURABLE = WriteConcern(w="majority", j=True)
MAJORITY = ReadConcern("majority")
# What a connection is called at MongoDB.
APPLICATION = "thetaloop"
_OPERATION_MS = 5_000


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


@dataclass(frozen=True)
class Connection:
    """A database, the URI it was reached by, and what is known of the elections of its primary."""

    uri: str
    db: AsyncDatabase[Document]
    elections: Elections


def connect(
    uri: str, database: str, listeners: list[monitoring.CommandListener] | None = None, *, streams: bool = False
) -> Connection:
    """Connect to the database through a client with our time limits; nothing is sent yet.

    Raises ``ConfigurationError`` if the URI or the name is none.

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
        db = client.get_database(
            database,
            codec_options=_PLAIN,
            write_concern=DURABLE,
            read_concern=MAJORITY,
            read_preference=ReadPreference.PRIMARY,
        )
    except (errors.ConfigurationError, errors.InvalidName, errors.InvalidURI, ValueError) as error:
        raise ConfigurationError(f"mongodb.uri: {error}") from error
    return Connection(uri, db, Elections(db))


def time_limit(seconds: float) -> AbstractContextManager[object]:
    """Within it, all calls to MongoDB together take no longer than ``seconds``."""
    return pymongo.timeout(max(seconds, 0.001))


class Storage:
    """The base of the collection classes.

    Their public methods raise ``StoreUnavailable`` when MongoDB is away (``translate_outages``). Those that take part
    in a transaction get its ``session`` and raise what the driver raises.
    """

    moment: AsyncClientSession | None = None  # a snapshot session, of those whose reads are all to show one moment

    def __init__(self, connection: Connection) -> None:
        self.db = connection.db
        self.elections = connection.elections

    def at(self, moment: AsyncClientSession) -> Self:
        """The same, but what the engine reads is read in a snapshot session: as it was at its first read."""
        other = copy.copy(self)
        other.moment = moment
        return other


async def require_replica_set(database: AsyncDatabase[Document]) -> None:
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
