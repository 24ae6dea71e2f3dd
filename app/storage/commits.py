"""One commit of the engine: everything a batch changed, in one transaction, ordered by the heads it moves."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from app.domain.decision import Decision, Reward
from app.domain.events import ThetaEvent
from app.domain.rows import LogRow
from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.client import Connection, time_limit
from app.storage.decisions import Decisions
from app.storage.group_commit import GroupCommit, PendingWrite, in_time
from app.storage.heads import HeadMove, Heads
from app.storage.requests import Requested, Requests
from app.storage.rewards import Events, Logs, Rewards
from app.storage.thetas import Thetas, ThetaWrite
from app.storage.transactions import Conflict, Transactions

_AT_ONCE = 4
_ROWS = 256
_APART_SECONDS = 1.0


@dataclass
class Commit:
    """What one batch changes.

    ``claims`` are decisions by the status they get: all must still be pending. The heads must all still be where they
    were. ``requests`` are what the request ids of the rewards stand for. ``size`` is about how many bytes all this has.
    """

    moves: list[HeadMove] = field(default_factory=list)
    claims: dict[str, list[str]] = field(default_factory=dict)
    requests: Requested = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)
    thetas: list[ThetaWrite] = field(default_factory=list)
    events: list[ThetaEvent] = field(default_factory=list)
    logs: list[LogRow] = field(default_factory=list)
    size: int = 0

    @property
    def rows(self) -> int:
        """How many documents it writes."""
        rows: list[list[Any]] = [self.decisions, self.rewards, self.thetas, self.events, self.logs]
        return sum(map(len, rows))


def together(commits: list[Commit]) -> Commit:
    """All of them as one."""
    whole = Commit()
    for commit in commits:
        for name, part in vars(commit).items():
            if isinstance(part, list):
                getattr(whole, name).extend(part)
        for status, ids in commit.claims.items():
            whole.claims.setdefault(status, []).extend(ids)
        whole.requests |= commit.requests
    return whole


class Commits:
    """Writes commits.

    Those of different experiments that come at once are written in one transaction. If it fails, each is written by
    itself, so that nobody suffers from another's conflict; and for a while all are, as where two servers compete.
    """

    def __init__(self, connection: Connection, transactions: Transactions) -> None:
        self._transactions = transactions
        self._gathering = GroupCommit(self._write, _AT_ONCE, _ROWS)
        self._apart_until = 0.0
        self._heads = Heads(connection)
        self._decisions = Decisions(connection)
        self._rewards = Rewards(connection)
        self._thetas = Thetas(connection)
        self._events = Events(connection)
        self._logs = Logs(connection)
        self._requests = Requests(connection)

    async def write(self, commit: Commit, deadline: float) -> None:
        """Write it all or nothing; raises what ``Transactions.attempt`` raises."""
        heads = {move.expected.exp_id for move in commit.moves}
        await self._gathering.add(commit, deadline, rows=commit.rows, size=commit.size, exclusive=heads)

    async def _write(self, writes: list[PendingWrite[Commit]]) -> None:
        writes = in_time(writes)
        if not writes:
            return
        several = len(writes) > 1
        if several and time.monotonic() < self._apart_until:
            await self._write_apart(writes)
            return
        for write in writes:
            write.late = OutcomeUnknown
        commit = together([write.content for write in writes])
        last = max(writes, key=lambda write: write.deadline)
        try:
            with time_limit(last.seconds):
                await self._transactions.attempt(lambda session: self._body(commit, session), last.deadline)
        except Exception as error:
            if several and not isinstance(error, OutcomeUnknown | StoreUnavailable):
                self._apart_until = time.monotonic() + _APART_SECONDS
                await self._write_apart(writes)
                return
            for write in writes:
                write.end(error)
        else:
            for write in writes:
                write.end()

    async def _write_apart(self, writes: list[PendingWrite[Commit]]) -> None:
        await asyncio.gather(*(self._write([write]) for write in writes))

    async def _body(self, commit: Commit, session: AsyncClientSession) -> None:
        if commit.moves:
            await self._heads.advance(commit.moves, session)
        for status, ids in commit.claims.items():
            await self._decisions.claim(ids, status, session)
        if commit.requests:
            await self._requests.insert_in("setreward", commit.requests, session)
        if commit.decisions:
            await self._decisions.insert_in(commit.decisions, session)
        if commit.thetas:
            await self._thetas.write(commit.thetas, session)
        if commit.rewards:
            await self._rewards.insert_in(commit.rewards, session)
        if commit.events:
            await self._events.insert_in(commit.events, session)
        if commit.logs:
            await self._logs.insert_in(commit.logs, session)

    async def add(self, decisions: list[Decision], logs: list[LogRow], deadline: float) -> None:
        """Write decisions with what they logged; those that an attempt of unclear outcome wrote are left alone."""
        while decisions:
            try:
                return await self.write(Commit(decisions=decisions, logs=logs), deadline)
            except Conflict:
                if time.monotonic() > deadline:
                    raise StoreUnavailable() from None
                there = await self._decisions.find(decisions[0].exp_id, [decision.id for decision in decisions])
                decisions = [decision for decision in decisions if decision.id not in there]
                logs = [row for row in logs if row.row not in there]
