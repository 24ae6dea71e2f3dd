"""All collections of one database, wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.storage.archive import Archive
from app.storage.client import Connection, Storage
from app.storage.commits import Commits
from app.storage.counters import Counters
from app.storage.decisions import Decisions
from app.storage.experiments import Experiments
from app.storage.files import Files
from app.storage.head_stream import HeadChangeStream
from app.storage.heads import Heads
from app.storage.indexes import ensure_indexes
from app.storage.leases import Leases
from app.storage.orphans import Orphans
from app.storage.outages import translate_outages
from app.storage.pages import Pages
from app.storage.recent_calls import RecentCalls
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

    def __init__(self, connection: Connection, stream: HeadChangeStream | None = None) -> None:
        super().__init__(connection)
        self.stream = stream
        transactions = Transactions(connection.db.client)
        self.heads = Heads(connection)
        self.experiments = Experiments(connection, self.heads, transactions)
        self.thetas = Thetas(connection)
        self.decisions = Decisions(connection)
        self.rewards = Rewards(connection)
        self.requests = Requests(connection)
        self.script_errors = ScriptErrors(connection)
        self.commits = Commits(connection, transactions)
        self.users = Users(connection)
        self.sessions = Sessions(connection)
        self.failures = Failures(connection)
        self.pages = Pages(connection)
        self.recent_calls = RecentCalls(connection)
        self.counters = Counters(connection)
        self.snapshots = Snapshots(connection)
        self.leases = Leases(connection)
        self.orphans = Orphans(connection)
        self.archive = Archive(connection)
        self.simulations = Simulations(connection, transactions)
        self.settings = SharedSettings(connection)
        self.files = Files(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[StoreSnapshot]:
        """The moment of the first read: whatever is committed meanwhile, all later ones show the same."""
        async with self.db.client.start_session(snapshot=True) as session:
            yield StoreSnapshot(self.heads.at(session), self.experiments.at(session), self.thetas.at(session))

    @translate_outages
    async def prepare(self) -> None:
        """Create what is missing."""
        await ensure_indexes(self.db)

    @translate_outages
    async def ping(self) -> None:
        """``StoreUnavailable`` unless a primary answers."""
        await self.db.command("ping")

    @translate_outages
    async def close(self) -> None:
        """Close the connections."""
        await self.files.close()
        await self.db.client.close()
        if self.stream is not None:
            await self.stream.disconnect()
