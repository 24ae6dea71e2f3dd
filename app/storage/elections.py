"""Reads that miss nothing acknowledged, whichever member of a replica set has become primary.

A new primary has all that its predecessors acknowledged, but for a moment it doesn't know that a majority has it too:
until a majority holds a first entry of its own, its majority reads may show how things were earlier. A theta read then
would be older than the head that was read before the election. One linearizable read ends that moment, as it waits for
such an entry; after it, majority reads of that primary miss nothing. The driver knows each election by an id, so the
price on all other days is a comparison.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern

from app.storage.documents import Document

LINEARIZABLE = ReadConcern("linearizable")
P = ParamSpec("P")
T = TypeVar("T")


class Elections:
    """What reads know of the primary that answers them; one for all collections of a database."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._driver = database.client
        self._asked = database.heads.with_options(read_concern=LINEARIZABLE)
        self.caught_up: object = None  # the election whose winner knows all that was acknowledged before

    @property
    def latest(self) -> object:
        """The id of the latest election that the driver knows of; it only ever moves on."""
        return self._driver.topology_description.max_election_id

    async def catch_up(self) -> object:
        """Wait until the winner of the latest election has caught up; that election's id."""
        while (election := self.latest) != self.caught_up:
            await self._asked.find_one({"_id": ""})
            # It was the winner who answered only if there was no further election meanwhile.
            if self.latest == election:
                self.caught_up = election
        return election


def complete_after_election(read: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a method that only reads be answered by a primary that has caught up; it is repeated if that changes."""

    @functools.wraps(read)
    async def careful(*args: P.args, **kwargs: P.kwargs) -> T:
        storage: Any = args[0]
        elections: Elections = storage.elections
        while True:
            election = elections.latest
            if election != elections.caught_up:
                election = await elections.catch_up()
            found = await read(*args, **kwargs)
            if elections.latest == election:
                return found

    return careful
