"""Transactions with an outcome that is always known or said to be unknown.

The driver's own helper repeats for two minutes and hides which of the two it was; here one attempt is one attempt,
and an unclear commit is repeated on the same session until its deadline.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextvars import Context

from pymongo import AsyncMongoClient, ReadPreference, errors
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern

from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.client import DURABLE, time_limit
from app.storage.documents import Document
from app.storage.outages import is_outage

Body = Callable[[AsyncClientSession], Awaitable[None]]
_SNAPSHOT = ReadConcern("snapshot")
_COMMITS_IN_FLIGHT = 8
_ABORT_SECONDS = 1.0


class Conflict(Exception):
    """Another commit came first, or this one was taken back: nothing of it remains, and it may be run again."""


class Interrupted(Conflict):
    """MongoDB went away before the commit was sent, so nothing of it remains."""


class Transactions:
    """Runs transactions, at most eight at a time in one process."""

    def __init__(self, client: AsyncMongoClient[Document]) -> None:
        self._client = client
        self._places = asyncio.Semaphore(_COMMITS_IN_FLIGHT)

    async def attempt(self, body: Body, deadline: float) -> None:
        """Run ``body(session)`` in one transaction and commit it.

        Raises ``Conflict`` if it certainly left nothing, ``OutcomeUnknown`` if nobody can say by ``deadline``
        (of ``time.monotonic``), ``StoreUnavailable`` if MongoDB went away before the commit was sent.
        """
        async with self._places, self._client.start_session() as session:
            await session.start_transaction(
                read_concern=_SNAPSHOT, write_concern=DURABLE, read_preference=ReadPreference.PRIMARY
            )
            try:
                await body(session)
            except BaseException as error:
                await _abort(session)
                if isinstance(error, errors.PyMongoError):
                    raise _named(error) from error
                raise
            await _commit(session, deadline)

    async def run(self, body: Body, seconds: float = 10.0) -> None:
        """Repeat ``attempt`` with growing pauses while others come first, for changes that need not be run again."""
        deadline = time.monotonic() + seconds
        pause = 0.002
        while True:
            try:
                return await self.attempt(body, deadline)
            except Conflict:
                if time.monotonic() + pause > deadline:
                    raise StoreUnavailable() from None
                await asyncio.sleep(pause * (0.5 + random.random()))
                pause = min(2 * pause, 0.5)


async def _abort(session: AsyncClientSession) -> None:
    # In a context of its own: it may be why that the time is over, and until MongoDB is told it holds the heads.
    try:
        await asyncio.get_running_loop().create_task(_tell_to_abort(session), context=Context())
    except errors.PyMongoError:
        pass  # MongoDB ends it by itself


async def _tell_to_abort(session: AsyncClientSession) -> None:
    with time_limit(_ABORT_SECONDS):
        await session.abort_transaction()


async def _commit(session: AsyncClientSession, deadline: float) -> None:
    pause = 0.01
    while True:
        try:
            await session.commit_transaction()
            return
        except errors.PyMongoError as error:
            if error.has_error_label("UnknownTransactionCommitResult"):
                if time.monotonic() + pause > deadline:
                    raise OutcomeUnknown() from error
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.5)
                continue
            raise _named(error) from error


def _named(error: errors.PyMongoError) -> Exception:
    """The error as ours: a duplicate key aborts a transaction without a label of its own."""
    duplicate = isinstance(error, errors.DuplicateKeyError) or (
        isinstance(error, errors.BulkWriteError) and any(e.get("code") == 11000 for e in error.details["writeErrors"])
    )
    if duplicate or error.has_error_label("TransientTransactionError"):
        return Interrupted() if is_outage(error) else Conflict()
    return StoreUnavailable() if is_outage(error) else error
