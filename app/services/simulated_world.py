"""Where a simulation on this server finds experiments: its own, and those that its scripts call."""

from __future__ import annotations

from app.domain.experiment import Head
from app.errors import InvalidParameter
from app.sandbox.protocol import Entry, encode
from app.simulation.runner import THETA_BYTES, SimulatedExperiment
from app.storage.store import Store


class OwnerExperiments:
    """Experiments of one owner, each with nothing learned or, with ``current``, a copy of its live theta.

    ``copied`` holds the heads at which these copies were taken.
    """

    def __init__(self, store: Store, owner: str, current: bool) -> None:
        self.copied: dict[str, Head] = {}
        self._store = store
        self._owner = owner
        self._current = current

    async def find(self, exp_id: str) -> SimulatedExperiment | None:
        """The experiment, if it is this owner's; ``InvalidParameter`` if its theta is too large to start from."""
        experiment = await self._store.experiments.find(exp_id)
        if experiment is None or experiment.owner != self._owner:
            return None
        return SimulatedExperiment(experiment.scripts, await self._copy(exp_id) if self._current else [])

    async def _copy(self, exp_id: str) -> list[Entry]:
        found = await self._store.thetas.copy(exp_id, THETA_BYTES)
        if found is None:
            raise InvalidParameter("start", f"a simulation can start from at most {THETA_BYTES >> 20} MiB of theta")
        self.copied[exp_id], thetas = found
        return [Entry(*one.key, encode(one.theta)) for one in thetas]
