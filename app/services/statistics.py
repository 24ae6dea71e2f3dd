"""What dashboards and notebooks read about an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.theta import joined
from app.errors import NotYours
from app.storage.store import Store


@dataclass(frozen=True)
class Summary:
    """How often an experiment was called, and when last."""

    get_action_calls: int
    last_added_get_action: datetime | None
    set_reward_calls: int
    last_added_set_reward: datetime | None


class Statistics:
    """Reads of theta and of the logs; who may read is checked before."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def current_theta(self, exp_id: str, name: str = "_theta") -> dict[str, Any]:
        """Theta by ``key:value`` or ``key``, or the bare theta itself if there is no other."""
        heads = await self._store.heads.find([exp_id])
        if exp_id not in heads:
            raise NotYours(exp_id)
        rows = [row async for row in self._store.thetas.current(exp_id, heads[exp_id].epoch, name)]
        if len(rows) == 1 and rows[0]["key"] is None:
            return dict(rows[0]["theta"])
        return {joined(row["key"], row["value"]): row["theta"] for row in rows}

    async def summary(self, exp_id: str) -> Summary:
        """The counts and the newest dates."""
        heads = await self._store.heads.find([exp_id])
        if exp_id not in heads:
            raise NotYours(exp_id)
        head = heads[exp_id]
        return Summary(
            get_action_calls=await self._store.decisions.count(exp_id),
            last_added_get_action=await self._store.decisions.last_date(exp_id),
            set_reward_calls=head.rewards,
            last_added_set_reward=head.last_reward,
        )
