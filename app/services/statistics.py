"""What dashboards and notebooks read about an experiment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from app.domain.decision import Decision, Reward, RewardedDecision
from app.domain.experiment import Head
from app.domain.rows import ErrorRow, LogRow, StoredRun, ThetaSnapshot
from app.domain.theta import as_theta
from app.errors import InvalidParameter, NotYours
from app.services.failing import Failing, find_failing
from app.storage.pages import DECISIONS, ERRORS, LOGS, REWARDS, SIMULATIONS, Log
from app.storage.store import Store

_COUNT_SECONDS = 1.0
_JOINED_AT_ONCE = 200
_MAX_CACHED = 10_000
T = TypeVar("T")


@dataclass(frozen=True)
class Summary:
    """How often an experiment was called, and when last."""

    get_action_calls: int
    last_added_get_action: datetime | None
    set_reward_calls: int
    last_added_set_reward: datetime | None


@dataclass(frozen=True)
class Page(Generic[T]):
    """Rows, newest first, and the cursor of the next page if there is one."""

    rows: AsyncIterator[T]
    next_before: str | None


class Statistics:
    """Reads of theta and of the logs; who may read is checked before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: dict[str, tuple[float, int]] = {}

    async def current_theta(self, exp_id: str, name: str = "_theta") -> dict[str, Any]:
        """Theta by ``key:value`` or ``key``, or the bare theta itself if there is no other."""
        head = await self._head(exp_id)
        found = self._store.thetas.current(exp_id, head.epoch, name)
        return as_theta([(row.key, row.theta or {}) async for row in found])

    async def summary(self, exp_id: str) -> Summary:
        """The counts and the newest dates."""
        return await self._summary(await self._head(exp_id))

    async def summaries(self, exp_ids: list[str]) -> dict[str, Summary]:
        """The same of several experiments, but of those that were deleted meanwhile."""
        heads = await self._store.heads.find(exp_ids)
        found = await asyncio.gather(*(self._summary(head) for head in heads.values()))
        return dict(zip(heads, found, strict=True))

    async def failing(self, exp_ids: list[str]) -> dict[str, Failing | None]:
        """What fails in each experiment, or None; a few reads for each, but none for those that were deleted."""
        heads = (await self._store.heads.find(exp_ids)).values()
        recent = self._store.recent_calls
        found = await asyncio.gather(*(find_failing(recent, head.exp_id, head.revision) for head in heads))
        return dict(zip((head.exp_id for head in heads), found, strict=True))

    async def _summary(self, head: Head) -> Summary:
        return Summary(
            get_action_calls=await self._action_count(head.exp_id),
            last_added_get_action=await self._store.decisions.last_date(head.exp_id),
            set_reward_calls=head.rewards,
            last_added_set_reward=head.last_reward,
        )

    async def decisions(self, exp_id: str, before: str | None, limit: int) -> Page[Decision]:
        """The action log."""
        return await self._page(DECISIONS, exp_id, before, limit)

    async def rewarded_decisions(self, exp_id: str, before: str | None, limit: int) -> Page[RewardedDecision]:
        """The action log, each decision with the reward that its advice was given."""
        page = await self.decisions(exp_id, before, limit)
        return Page(self._with_rewards(page.rows), page.next_before)

    async def _with_rewards(self, decisions: AsyncIterator[Decision]) -> AsyncIterator[RewardedDecision]:
        batch: list[Decision] = []
        async for decision in decisions:
            batch.append(decision)
            if len(batch) == _JOINED_AT_ONCE:
                for row in await self._joined(batch):
                    yield row
                batch = []
        for row in await self._joined(batch):
            yield row

    async def _joined(self, decisions: list[Decision]) -> list[RewardedDecision]:
        """Join decisions with their rewards, which have their ids, in one query."""
        settled = [decision.id for decision in decisions if decision.status in ("rewarded", "defaulted")]
        rewards = await self._store.rewards.find(settled) if settled else {}
        return [RewardedDecision(decision, rewards.get(decision.id)) for decision in decisions]

    async def rewards(self, exp_id: str, before: str | None, limit: int) -> Page[Reward]:
        """The reward log."""
        return await self._page(REWARDS, exp_id, before, limit)

    async def logs(self, exp_id: str, before: str | None, limit: int) -> Page[LogRow]:
        """What scripts logged."""
        return await self._page(LOGS, exp_id, before, limit)

    async def errors(self, exp_id: str, before: str | None, limit: int) -> Page[ErrorRow]:
        """What went wrong in scripts."""
        return await self._page(ERRORS, exp_id, before, limit)

    async def simulations(self, exp_id: str, before: str | None, limit: int) -> Page[StoredRun]:
        """Runs of simulations that were stored with their draws."""
        return await self._page(SIMULATIONS, exp_id, before, limit)

    async def hourly_theta(self, exp_id: str, name: str, before: str | None, limit: int) -> Page[ThetaSnapshot]:
        """The snapshots of theta: one row per hour; the cursor is an hour."""
        start = _hour(before)
        cursor = None
        if limit:
            seen = 0
            async for hour in self._store.snapshots.hours(exp_id, name, start):
                seen += 1
                if seen > limit:
                    break
                last = hour
            cursor = last.isoformat() if seen > limit else None
        return Page(self._hours(exp_id, name, start, limit), cursor)

    async def _hours(self, exp_id: str, name: str, before: datetime | None, limit: int) -> AsyncIterator[ThetaSnapshot]:
        count = 0
        async for hour in self._store.snapshots.hours(exp_id, name, before):
            snapshot = await self._store.snapshots.of_hour(exp_id, name, hour)
            if snapshot is None:
                continue
            yield snapshot
            count += 1
            if count == limit:
                return

    async def _page(self, log: Log[T], exp_id: str, before: str | None, limit: int) -> Page[T]:
        cursor = await self._store.pages.next_cursor(log, exp_id, before, limit)
        return Page(self._store.pages.rows(log, exp_id, before, limit), cursor)

    async def _action_count(self, exp_id: str) -> int:
        """Exact, as of at most a second ago."""
        counted, count = self._counts.get(exp_id, (0.0, 0))
        if time.monotonic() - counted > _COUNT_SECONDS or not counted:
            count = await self._store.counters.actions(exp_id)
            if len(self._counts) >= _MAX_CACHED:
                self._counts.clear()
            self._counts[exp_id] = (time.monotonic(), count)
        return count

    async def _head(self, exp_id: str) -> Head:
        heads = await self._store.heads.find([exp_id])
        if exp_id not in heads:
            raise NotYours(exp_id)
        return heads[exp_id]


def _hour(cursor: str | None) -> datetime | None:
    if cursor is None:
        return None
    try:
        hour = datetime.fromisoformat(cursor.replace(" ", "+"))
        return (hour if hour.tzinfo else hour.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidParameter("before", "expected the cursor that an earlier answer gave") from None
