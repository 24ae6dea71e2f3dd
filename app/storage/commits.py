"""One commit of the engine: everything a batch changed, in one transaction, ordered by the heads it moves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.decision import Decision, Reward
from app.domain.experiment import Head
from app.errors import StoreUnavailable
from app.storage.client import Document
from app.storage.decisions import Decisions
from app.storage.heads import Heads
from app.storage.requests import Requests
from app.storage.rewards import Events, Logs, Rewards
from app.storage.thetas import Thetas, ThetaWrite
from app.storage.transactions import Conflict, Transactions


@dataclass
class HeadMove:
    """A head that this commit moves on by ``steps``, from exactly the place that was ``expected``."""

    expected: Head
    steps: int = 0
    rewards: int = 0
    last_reward: datetime | None = None


@dataclass
class Commit:
    """What one batch changes.

    ``claims`` are decisions by the status they get: all must still be pending. The heads must all still be where they
    were. ``requests`` are the request ids of the rewards, by what they stand for.
    """

    moves: list[HeadMove] = field(default_factory=list)
    claims: dict[str, list[str]] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)
    thetas: list[ThetaWrite] = field(default_factory=list)
    events: list[Document] = field(default_factory=list)
    logs: list[Document] = field(default_factory=list)


class Commits:
    """Writes commits."""

    def __init__(self, database: Any, transactions: Transactions) -> None:
        self._transactions = transactions
        self._heads = Heads(database)
        self._decisions = Decisions(database)
        self._rewards = Rewards(database)
        self._thetas = Thetas(database)
        self._events = Events(database)
        self._logs = Logs(database)
        self._requests = Requests(database)

    async def write(self, commit: Commit, deadline: float) -> None:
        """Write it all or nothing; raises what ``Transactions.attempt`` raises."""

        async def body(session: Any) -> None:
            # In id order, so that two commits over the same heads cannot wait for one another.
            for move in sorted(commit.moves, key=lambda move: move.expected.exp_id):
                await self._heads.advance(
                    move.expected, move.steps, session, rewards=move.rewards, last_reward=move.last_reward
                )
            for status, ids in commit.claims.items():
                await self._decisions.claim(ids, status, session)
            if commit.requests:
                await self._requests.insert_in(commit.rewards[0].exp_id, "setreward", commit.requests, session)
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

        await self._transactions.attempt(body, deadline)

    async def add(self, decisions: list[Decision], logs: list[Document], deadline: float) -> None:
        """Write decisions with what they logged; those that an attempt of unclear outcome wrote are left alone."""
        while decisions:
            try:
                return await self.write(Commit(decisions=decisions, logs=logs), deadline)
            except Conflict:
                if time.monotonic() > deadline:
                    raise StoreUnavailable() from None
                there = await self._decisions.find(decisions[0].exp_id, [decision.id for decision in decisions])
                decisions = [decision for decision in decisions if decision.id not in there]
                logs = [row for row in logs if row["row"] not in there]
