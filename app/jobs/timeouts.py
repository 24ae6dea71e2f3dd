"""Gives advices that waited too long for their reward the default one."""

from __future__ import annotations

import asyncio

from app.domain.decision import Decision
from app.domain.requests import RewardRequest
from app.engine.api import EngineAPI
from app.errors import KeyRefused, ScriptFailed
from app.storage.store import Store

_BATCH = 100


class TimeoutJob:
    """Rewards overdue advices through the engine, like any caller: a reward that comes first wins."""

    def __init__(self, store: Store, engine: EngineAPI) -> None:
        self._store = store
        self._engine = engine

    async def run(self) -> None:
        """Settle all overdue advices, in small batches. Raises the first error that a later run may not meet."""
        deleted: set[str] = set()  # about to be moved away
        now = await self._store.leases.now()
        while overdue := await self._store.decisions.overdue(now, deleted, _BATCH):
            settled = await asyncio.gather(*map(self._settle, overdue), return_exceptions=True)
            failures = [outcome for outcome in settled if isinstance(outcome, Exception)]
            if failures:
                raise failures[0]
            deleted |= {decision.exp_id for decision, done in zip(overdue, settled, strict=True) if not done}

    async def _settle(self, decision: Decision) -> bool:
        """Record one default reward; return False if its experiment is gone."""
        request = RewardRequest(decision.default_reward or {}, advice_id=decision.id, default=True)
        try:
            await (await self._engine.get(decision.exp_id)).set_reward(request)
        except ScriptFailed:
            await self._store.decisions.give_up(decision.id)
        except KeyRefused:
            return False
        return True
