"""Runs of simulations: one document each, and chunks for its theta, which may be larger.

Its draws are a file of the same id (``app.storage.files``).

A run that a server is at work on carries the time of that server's last sign of life, by MongoDB's clock.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from app.domain.experiment import Head
from app.domain.rows import RunResults, RunUpdate, StoredRun
from app.domain.theta import ThetaKey, as_theta
from app.errors import CannotCommit, NotYours
from app.storage.client import UNDECODED, Connection, Storage
from app.storage.documents import Document, from_document
from app.storage.heads import Heads
from app.storage.keys import escaped, restored
from app.storage.outages import translate_outages
from app.storage.thetas import StoredTheta, Thetas, ThetaWrite
from app.storage.transactions import Transactions

_INSERTS = 1_000


@dataclass(frozen=True)
class ThetaOrigin:
    """Which run a committed theta comes from, and who committed it."""

    user: str
    run: str
    n: int
    seed: int


class Simulations(Storage):
    """Runs, and the one way of their thetas into live experiments."""

    def __init__(self, connection: Connection, transactions: Transactions) -> None:
        super().__init__(connection)
        self._heads = Heads(connection)
        self._thetas = Thetas(connection)
        self._transactions = transactions

    @translate_outages
    async def insert(self, run: StoredRun) -> None:
        """Add a run, which shows a first sign of life by that."""
        await self.db.simulations.insert_one(document_of(run))
        await self.update(run.id, RunUpdate())

    @translate_outages
    async def update(self, run_id: str, update: RunUpdate) -> bool:
        """Set what has changed and show a sign of life; whether somebody asked to cancel the run."""
        values = {name: {"$literal": value} for name, value in changed_fields(update).items()}
        change: list[Document] = [{"$set": {"alive": "$$NOW", **values}}]
        runs = self.db.simulations.with_options(codec_options=UNDECODED)
        row = await runs.find_one_and_update({"_id": run_id}, change, {"cancel": 1})
        return row is None or row.get("cancel", False)

    @translate_outages
    async def cancel(self, run_id: str) -> None:
        """Ask whichever server is at work on it to stop."""
        await self.db.simulations.update_one({"_id": run_id}, {"$set": {"cancel": True}})

    @translate_outages
    async def find(self, exp_id: str, run_id: str) -> StoredRun | None:
        """One run of an experiment."""
        row = await self.db.simulations.find_one({"_id": run_id, "exp_id": exp_id})
        return run_of(row) if row else None

    @translate_outages
    async def of(self, exp_id: str, limit: int) -> list[StoredRun]:
        """The newest runs of an experiment, without their series."""
        found = self.db.simulations.find({"exp_id": exp_id}, {"series": 0})
        return [run_of(row) async for row in found.sort([("date", -1), ("_id", -1)]).limit(limit)]

    @translate_outages
    async def add_thetas(
        self, exp_id: str, run_id: str, first: int, thetas: list[tuple[ThetaKey, dict[str, Any]]]
    ) -> None:
        """Add thetas that the run has left, from the one with the number ``first`` on."""
        rows = [{"key": key.key, "value": key.value, "theta": theta} for key, theta in thetas]
        chunk = {"_id": f"{run_id}:theta:{first}", "exp_id": exp_id, "run": run_id, "kind": "theta"}
        await self.db.simulation_chunks.insert_one({**chunk, "number": first, "rows": escaped(rows)})

    @translate_outages
    async def theta(self, exp_id: str, run_id: str) -> dict[str, Any]:
        """The theta that a run has left, as ``get_theta()`` gives it."""
        found = self.db.simulation_chunks.find({"run": run_id, "kind": "theta"}).sort("number", 1).batch_size(4)
        rows = [row async for chunk in found for row in restored(chunk["rows"])]
        return as_theta([(ThetaKey(exp_id, "_theta", row["key"], row["value"]), row["theta"]) for row in rows])

    @translate_outages
    async def has_draws(self, run_id: str) -> bool:
        """Whether there is such a run, and it was stored with its draws."""
        return await self.db.simulations.find_one({"_id": run_id, "logged": True}, {"_id": 1}) is not None

    @translate_outages
    async def drop_chunks(self, run_id: str) -> None:
        """Forget what a run that came to nothing has stored."""
        await self.db.simulation_chunks.delete_many({"run": run_id})

    @translate_outages
    async def commit(self, thetas: dict[str, list[StoredTheta]], copied: dict[str, Head], origin: ThetaOrigin) -> None:
        """Put simulated thetas in the place of the live ones, as one event of each experiment, all or none.

        ``CannotCommit`` if one of the experiments has moved on from where it was ``copied``.
        """

        async def body(session: AsyncClientSession) -> None:
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
                event = {**names, "date": datetime.now(UTC), "kind": "simulation", **vars(origin)}
                await self.db.events.insert_one(event, session=session)

        await self._transactions.run(body)


def run_of(document: Document) -> StoredRun:
    """The run in a document."""
    expected = {one["arm"]: one["reward"] for one in document.get("expected", [])}
    return from_document(StoredRun, document | {"expected": expected, "results": _results(document)})


def document_of(run: StoredRun) -> Document:
    """The document of a run."""
    values = {name: value for name, value in vars(run).items() if name not in ("id", "results") and value is not None}
    values["expected"] = [{"arm": arm, "reward": reward} for arm, reward in run.expected.items()]
    return {"_id": run.id, **values, **_in_columns(run.results)}


def changed_fields(update: RunUpdate) -> Document:
    """The fields of the run's document that the update sets."""
    values = {name: value for name, value in vars(update).items() if name != "results" and value is not None}
    return values | (_in_columns(update.results) if update.results else {})


def _in_columns(results: RunResults) -> Document:
    """In a shape in which names that scripts made are values, never keys."""
    values = {name: value for name, value in vars(results).items() if value is not None}
    values["arms"] = [{"arm": name, **row} for name, row in results.arms.items()]
    if results.series is not None:
        pulls = [{"arm": name, "counts": counts} for name, counts in results.series["pulls"].items()]
        values["series"] = results.series | {"pulls": pulls}
    return values


def _results(document: Document) -> RunResults:
    rows = document.get("arms", [])
    arms = {row["arm"]: {name: value for name, value in row.items() if name != "arm"} for row in rows}
    series = document.get("series")
    if series is not None:
        series = series | {"pulls": {one["arm"]: one["counts"] for one in series["pulls"]}}
    return from_document(RunResults, document | {"arms": arms, "series": series})
