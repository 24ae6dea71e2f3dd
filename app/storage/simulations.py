"""Runs of simulations: one document each, and chunks for what may be larger than a document: draws and theta.

A run that a server is at work on carries the time of that server's last sign of life, by MongoDB's clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from app.domain.experiment import Head
from app.errors import CannotCommit, NotYours
from app.storage.client import UNDECODED, Document, Storage
from app.storage.heads import Heads
from app.storage.thetas import StoredTheta, Thetas, ThetaWrite
from app.storage.transactions import Transactions

_INSERTS = 1_000


class Simulations(Storage):
    """Runs, and the one way of their thetas into live experiments."""

    def __init__(self, database: Any, transactions: Transactions) -> None:
        super().__init__(database)
        self._heads = Heads(database)
        self._thetas = Thetas(database)
        self._transactions = transactions

    async def insert(self, run: Document) -> None:
        """Add a run; its ``_id`` and ``exp_id`` are given."""
        await self.db.simulations.insert_one(run)
        await self.update(run["_id"], {})

    async def update(self, run_id: str, values: Document) -> bool:
        """Set what has changed and show a sign of life; whether somebody asked to cancel the run."""
        change: list[Document] = [{"$set": {"alive": "$$NOW", **{name: {"$literal": v} for name, v in values.items()}}}]
        runs = self.db.simulations.with_options(codec_options=UNDECODED)
        row = await runs.find_one_and_update({"_id": run_id}, change, {"cancel": 1})
        return row is None or row.get("cancel", False)

    async def cancel(self, run_id: str) -> None:
        """Ask whichever server is at work on it to stop."""
        await self.db.simulations.update_one({"_id": run_id}, {"$set": {"cancel": True}})

    async def find(self, exp_id: str, run_id: str) -> Document | None:
        """One run of an experiment."""
        return await self.db.simulations.find_one({"_id": run_id, "exp_id": exp_id})  # type: ignore[no-any-return]

    async def of(self, exp_id: str, limit: int) -> list[Document]:
        """The newest runs of an experiment, without their series."""
        found = self.db.simulations.find({"exp_id": exp_id}, {"series": 0})
        return [row async for row in found.sort([("date", -1), ("_id", -1)]).limit(limit)]

    async def add_chunk(self, exp_id: str, run_id: str, kind: str, number: int, rows: list[Document]) -> None:
        """Add draws or thetas, from the one of that number on."""
        chunk = {"_id": f"{run_id}:{kind}:{number}", "exp_id": exp_id, "run": run_id, "kind": kind}
        await self.db.simulation_chunks.insert_one({**chunk, "number": number, "rows": rows})

    async def rows(self, run_id: str, kind: str) -> AsyncIterator[Document]:
        """What the chunks of a run hold, in order."""
        found = self.db.simulation_chunks.find({"run": run_id, "kind": kind}).sort("number", 1).batch_size(4)
        async for chunk in found:
            for row in chunk["rows"]:
                yield row

    async def drop_chunks(self, run_id: str) -> None:
        """Forget what a run that came to nothing has stored."""
        await self.db.simulation_chunks.delete_many({"run": run_id})

    async def commit(self, thetas: dict[str, list[StoredTheta]], copied: dict[str, Head], about: Document) -> None:
        """Put simulated thetas in the place of the live ones, as one event of each experiment, all or none.

        ``CannotCommit`` if one of the experiments has moved on from where it was ``copied``.
        """

        async def body(session: Any) -> None:
            for exp_id in sorted(thetas):
                head = await self._heads.fence(exp_id, session, {"epoch": 1}, {"reset": datetime.now(UTC)})
                if head is None:
                    raise NotYours(exp_id)
                before = dataclasses.replace(head, seq=head.seq - 1, epoch=head.epoch - 1)
                if exp_id in copied and before.place != copied[exp_id].place:
                    raise CannotCommit()
                writes = [ThetaWrite(one.key, head.epoch, head.seq, one.theta, False) for one in thetas[exp_id]]
                for start in range(0, len(writes), _INSERTS):
                    await self._thetas.write(writes[start : start + _INSERTS], session)
                names = {"_id": f"{exp_id}:{head.seq}", "exp_id": exp_id, "seq": head.seq, "epoch": head.epoch}
                event = {**names, "date": datetime.now(UTC), "kind": "simulation", **about}
                await self.db.events.insert_one(event, session=session)

        await self._transactions.run(body)
