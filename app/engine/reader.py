"""What a runtime reads of an experiment, and from where."""

from __future__ import annotations

from typing import Protocol

from app.domain.experiment import Experiment, Head
from app.domain.theta import ThetaKey
from app.storage.store import Store, StoreSnapshot
from app.storage.thetas import StoredTheta


class ExperimentReader(Protocol):
    """Reads experiments, their heads and thetas. Every method raises ``StoreUnavailable`` if MongoDB is away."""

    async def heads(self, exp_ids: list[str]) -> dict[str, Head]:
        """Return the heads that exist, by experiment."""

    async def experiment(self, exp_id: str) -> Experiment | None:
        """Return the experiment as it is now."""

    async def thetas(self, keys: list[ThetaKey], epochs: dict[str, int]) -> list[StoredTheta]:
        """Return those of the keys that have a document, tombstones included."""

    async def theta_range(self, exp_id: str, epoch: int, name: str, key: str | None, limit: int) -> list[StoredTheta]:
        """Return all thetas of a name, or of one key of it, without tombstones; at most ``limit``."""

    async def changed_since(self, exp_id: str, epoch: int, seq: int, limit: int) -> list[StoredTheta]:
        """Return what was written after ``seq``, tombstones included; at most ``limit``."""


class StoreReader:
    """Reads from the database, or from a snapshot of it."""

    def __init__(self, store: Store | StoreSnapshot) -> None:
        self._store = store

    async def heads(self, exp_ids: list[str]) -> dict[str, Head]:
        """See ``ExperimentReader``."""
        return await self._store.heads.find(exp_ids)

    async def experiment(self, exp_id: str) -> Experiment | None:
        """See ``ExperimentReader``."""
        return await self._store.experiments.find(exp_id)

    async def thetas(self, keys: list[ThetaKey], epochs: dict[str, int]) -> list[StoredTheta]:
        """See ``ExperimentReader``."""
        return await self._store.thetas.find(keys, epochs)

    async def theta_range(self, exp_id: str, epoch: int, name: str, key: str | None, limit: int) -> list[StoredTheta]:
        """See ``ExperimentReader``."""
        return await self._store.thetas.find_range(exp_id, epoch, name, key, limit)

    async def changed_since(self, exp_id: str, epoch: int, seq: int, limit: int) -> list[StoredTheta]:
        """See ``ExperimentReader``."""
        return await self._store.thetas.changed_since(exp_id, epoch, seq, limit)
