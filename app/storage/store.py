"""All collections of one database, wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from app.storage.archive import Archive
from app.storage.client import Storage
from app.storage.commits import Commits
from app.storage.counters import Counters
from app.storage.decisions import Decisions
from app.storage.experiments import Experiments
from app.storage.head_stream import HeadChangeStream
from app.storage.heads import Heads
from app.storage.indexes import ensure_indexes
from app.storage.leases import Leases
from app.storage.orphans import Orphans
from app.storage.pages import Pages
from app.storage.requests import Requests
from app.storage.rewards import Rewards, ScriptErrors
from app.storage.settings import SharedSettings
from app.storage.simulations import Simulations
from app.storage.snapshots import Snapshots
from app.storage.thetas import Thetas
from app.storage.transactions import Transactions
from app.storage.users import Failures, Sessions, Users


@dataclass(frozen=True)
class StoreSnapshot:
    """What a runtime reads, as it was at one moment."""

    heads: Heads
    experiments: Experiments
    thetas: Thetas


class Store(Storage):
    """The database as the rest of the server sees it."""

    def __init__(self, database: Any, stream: HeadChangeStream | None = None) -> None:
        super().__init__(database)
        self.stream = stream
        transactions = Transactions(database.client)
        self.heads = Heads(database)
        self.experiments = Experiments(database, self.heads, transactions)
        self.thetas = Thetas(database)
        self.decisions = Decisions(database)
        self.rewards = Rewards(database)
        self.requests = Requests(database)
        self.script_errors = ScriptErrors(database)
        self.commits = Commits(database, transactions)
        self.users = Users(database)
        self.sessions = Sessions(database)
        self.failures = Failures(database)
        self.pages = Pages(database)
        self.counters = Counters(database)
        self.snapshots = Snapshots(database)
        self.leases = Leases(database)
        self.orphans = Orphans(database)
        self.archive = Archive(database)
        self.simulations = Simulations(database, transactions)
        self.settings = SharedSettings(database)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[StoreSnapshot]:
        """The moment of the first read: whatever is committed meanwhile, all later ones show the same."""
        async with self.db.client.start_session(snapshot=True) as session:
            yield StoreSnapshot(self.heads.at(session), self.experiments.at(session), self.thetas.at(session))

    async def prepare(self) -> None:
        """Create what is missing."""
        await ensure_indexes(self.db)

    async def ping(self) -> None:
        """``StoreUnavailable`` unless a primary answers."""
        await self.db.command("ping")

    async def close(self) -> None:
        """Close the connections."""
        await self.db.client.close()
        if self.stream is not None:
            await self.stream.disconnect()
