"""Batches that commit: setreward, and getaction where the script learns.

A batch is run on one view, then written in one transaction that moves the head from exactly that place. If it has
moved, nothing was written, and the batch is run again on what is there now.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from typing import Any

from app.engine.actions import ExperimentContext, action_items, answer_decided
from app.engine.batch import Batch
from app.engine.calls import ActionCall, AnyCall, RewardCall
from app.engine.commit_plan import CommitPlan
from app.engine.rewards import ResolvedReward, RewardResolver, reward_items
from app.engine.runtime import now
from app.engine.thetas import StaleView
from app.engine.view import View
from app.engine.worker_session import BatchCrashed
from app.errors import Overloaded, StoreUnavailable
from app.sandbox.protocol import Done, Failed
from app.storage.client import time_limit
from app.storage.transactions import Conflict, Interrupted

_PAUSE = 0.002
_MAX_PAUSE = 0.02


class CommitBatches:
    """Works off batches of one experiment's calls that change theta or accept a reward."""

    def __init__(self, context: ExperimentContext) -> None:
        self._runtime = context.runtime
        self._store = context.store
        self._limits = context.limits
        self._reports = context.reports
        self._advices = context.advices
        self._resolver = RewardResolver(context.store, context.advices)

    async def work(self, batch: Batch[Any]) -> None:
        """Answer each call or put it back; after three conflicts with ever longer pauses and ever smaller batches."""
        conflicts = 0
        with time_limit(batch.deadline - now()):
            # No older than an action may be: a batch whose scripts all fail commits nothing that would show it is old.
            await self._runtime.current(self._limits.staleness_seconds)
            while calls := batch.calls:
                try:
                    return await self._try(batch, again=conflicts > 0)
                except BatchCrashed:
                    return batch.put_back(batch.calls, singly=True)
                except (Conflict, StaleView) as error:
                    conflicts += 1
                    if now() > batch.deadline:
                        raise (StoreUnavailable if isinstance(error, Interrupted) else Overloaded)() from None
                if conflicts > 3:
                    # Short, so that of two servers on one experiment the loser keeps a chance to come first.
                    await asyncio.sleep(min(_MAX_PAUSE, _PAUSE * 2 ** (conflicts - 3)) * (0.5 + random.random()))
                    calls = batch.calls
                    batch.put_back(calls[max(1, len(calls) // 2) :])

    async def _try(self, batch: Batch[Any], again: bool) -> None:
        """Make one attempt; the calls that stay open are those that a conflict of this attempt must run again."""
        view = self._runtime.view or await self._runtime.refresh()
        resolved: list[ResolvedReward] = []
        if isinstance(batch.calls[0], RewardCall):
            script, resolved = "set_reward", await self._resolver.resolve(view, batch, again)
            items = reward_items(resolved)
        else:
            await answer_decided(self._store, view.exp_id, batch, again)
            script, items = "get_action", action_items(batch.calls)
        calls = batch.calls
        if not calls:
            return
        if again:
            # Last of all: the shorter it takes from reading the heads to moving them, the fewer others come between.
            await self._runtime.refresh()
        outcomes = await self._runtime.run(script, items, keep=True)
        basis = self._runtime.view
        if basis is None or any(not view.agrees(basis) for _, view in outcomes.values()):
            raise StaleView
        plan = CommitPlan(basis)
        failures: list[tuple[AnyCall, Failed]] = []
        put_off: list[AnyCall] = []
        # In the order in which they ran, which is not that of the calls if some had to be run again.
        for number, (outcome, _) in outcomes.items():
            call = calls[number]
            if isinstance(outcome, Failed) and resolved and resolved[number].remembered:
                put_off.append(call)  # it may have its reward from another server: now the action log is asked
            elif isinstance(outcome, Failed):
                failures.append((call, outcome))
            elif not isinstance(outcome, Done):
                put_off.append(call)
            elif isinstance(call, ActionCall):
                plan.add_action(call, outcome)
            else:
                plan.add_reward(resolved[number], outcome)
        # Those that are put back must not be run again by a conflict of the others. Those that failed must be: they
        # failed on what the others wrote, and if that does not come to be, perhaps they do not fail.
        batch.put_back(call for call in calls if call in put_off)
        if plan.answers:
            await self._commit(batch, plan, basis)
        for call, failed in failures:
            batch.fail(call, self._reports.report(basis.experiment, failed))

    async def _commit(self, batch: Batch[Any], plan: CommitPlan, basis: View) -> None:
        await self._runtime.know(plan.writes)
        cache = self._runtime.cache
        stored = {key for key in plan.writes if (cached := cache.get(key)) and cached.stored}
        await self._store.commits.write(plan.commit(stored), batch.deadline)
        heads = [dataclasses.replace(basis.heads[e], seq=basis.heads[e].seq + n) for e, n in plan.steps.items()]
        self._runtime.committed(basis, heads, {key: theta for key, (theta, _) in plan.writes.items()})
        for decision in plan.decisions:
            self._advices.put(decision)
        for call, answer in plan.answers:
            batch.answer(call, answer)
