"""The engine: finds an experiment's runtime, checks its key, queues the call and waits for its answer."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from typing import Any

from app.domain.ids import new_id
from app.engine.actions import ActionBatches, ExperimentContext
from app.engine.advices import Advices
from app.engine.call_queue import CallQueue, QueueLimits
from app.engine.calls import ActionAnswer, ActionCall, Call, Promise, RewardAnswer, RewardCall
from app.engine.head_watcher import HeadWatcher
from app.engine.limits import Limits
from app.engine.reports import Reports
from app.engine.rewards import CommitBatches
from app.engine.runtime import Runtime, StaleView, now
from app.engine.view import CacheUsage
from app.errors import KeyRefused, Overloaded, StoreUnavailable
from app.sandbox.host.pool import Pool
from app.sandbox.protocol import Done, Failed, Item
from app.storage.store import Store

_RUNTIMES = 10_000
# Some thirty thousand advices.
_ADVICES_BYTES = 64 * 2**20
# The rest of a call's time, after its deadline here, is for its answer to travel.
_SHARE = 0.9


class Engine:
    """getaction and setreward for every experiment, each with its own two lanes."""

    def __init__(self, store: Store, pool: Pool, limits: Limits) -> None:
        self._store = store
        self._pool = pool
        self._limits = limits
        self._budget = QueueLimits(limits.queue_calls, limits.queue_bytes)
        self._ledger = CacheUsage()
        self._hints = HeadWatcher(store.stream, limits.listening_seconds)
        self._reports = Reports(store)
        self._advices = Advices(_ADVICES_BYTES)
        self._live: OrderedDict[str, LiveExperiment] = OrderedDict()
        self._closing = False

    async def authorize(self, exp_id: str, key: str) -> LiveExperiment:
        """The experiment, for whoever has its key; ``KeyRefused`` for anybody else and where there is none."""
        live = await self.get(exp_id)
        view = live.runtime.view or await live.runtime.refresh()
        if not hmac.compare_digest(view.experiment.key.encode(), key.encode("utf-8", "surrogatepass")):
            raise KeyRefused()
        return live

    async def get(self, exp_id: str) -> LiveExperiment:
        """The experiment, for the server's own purposes; ``KeyRefused`` where there is none."""
        live = self.get_loaded(exp_id)
        if live is not None:
            return live
        if self._closing:
            raise Overloaded()
        live = self._live.get(exp_id)
        if live is None:
            runtime = Runtime(exp_id, self._store, self._pool, self._limits, self._ledger, self._hints)
            means = ExperimentContext(runtime, self._store, self._limits, self._reports, self._advices)
            live = LiveExperiment(means, self._budget)
        try:
            if live.runtime.view is None:
                await live.runtime.refresh()
        except KeyRefused:
            self._live.pop(exp_id, None)
            raise
        live = self._live.setdefault(exp_id, live)
        self._live.move_to_end(exp_id)
        self._evict()
        return live

    def get_loaded(self, exp_id: str) -> LiveExperiment | None:
        """The experiment if it is loaded and calls are taken, without waiting; else ``get`` says what is so."""
        live = self._live.get(exp_id)
        if live is None or live.runtime.view is None or self._closing:
            return None
        self._live.move_to_end(exp_id)
        self._evict()
        return live

    async def invalidate(self, exp_id: str) -> None:
        """This server changed the experiment: its next call must see that."""
        live = self._live.get(exp_id)
        if live is not None:
            try:
                await live.runtime.refresh()
            except KeyRefused:
                self._live.pop(exp_id, None)
            except StoreUnavailable:  # the change is made all the same
                live.runtime.drop()

    async def close(self) -> None:
        """Refuse new calls and wait for those under way."""
        self._closing = True
        for live in list(self._live.values()):
            await live.idle()
        await self._hints.close()
        await self._reports.flush()

    def _evict(self) -> None:
        """Forget the experiments that nobody has called for longest, while they are too many or hold too much."""
        while len(self._live) > _RUNTIMES or (
            self._ledger.size > self._limits.theta_cache_bytes and len(self._live) > 1
        ):
            exp_id, live = self._live.popitem(last=False)
            if live.busy:
                self._live[exp_id] = live
                return
            live.runtime.drop()


class LiveExperiment:
    """A runtime with its two lanes: one that only reads theta, and one that commits."""

    def __init__(self, means: ExperimentContext, budget: QueueLimits) -> None:
        self.runtime = means.runtime
        self._limits = limits = means.limits
        self._reports = means.reports
        self._actions_commit = False
        commits = CommitBatches(means, lambda calls, singly: self._commits.put_back(calls, singly))
        actions = ActionBatches(means, lambda calls, singly: self._actions.put_back(calls, singly), self._hand_on)
        bounds = budget, limits.queue_calls_per_experiment, limits.batch_calls
        self._commits: CallQueue[Call] = CallQueue(commits.work, *bounds)
        self._actions: CallQueue[ActionCall] = CallQueue(actions.work, *bounds)

    async def get_action(
        self, context: dict[str, Any], *, request_id: str | None = None, size: int = 0
    ) -> ActionAnswer:
        """Decide; returns once the decision is in the action log. ``size`` is about how many bytes came in."""
        future: asyncio.Future[ActionAnswer] = asyncio.get_running_loop().create_future()
        self.queue_action(future, context, request_id, size)
        return await future

    def queue_action(self, promise: Promise, context: dict[str, Any], request_id: str | None, size: int) -> None:
        """The same for whoever does not wait: the answer goes to ``promise``."""
        call = ActionCall(new_id(), self._deadline, promise, request_id, size, context)
        (self._commits if self._actions_commit else self._actions).add(call)

    async def set_reward(
        self,
        reward: dict[str, Any],
        *,
        advice_id: str | None = None,
        context: dict[str, Any] | None = None,
        action: dict[str, Any] | None = None,
        request_id: str | None = None,
        default: bool = False,
        size: int = 0,
    ) -> RewardAnswer:
        """Learn from a reward; returns once theta and the reward log hold it. ``size`` as for ``get_action``."""
        future: asyncio.Future[RewardAnswer] = asyncio.get_running_loop().create_future()
        self.queue_reward(future, reward, advice_id, context, action, request_id, size, default)
        return await future

    def queue_reward(
        self,
        promise: Promise,
        reward: dict[str, Any],
        advice_id: str | None,
        context: dict[str, Any] | None,
        action: dict[str, Any] | None,
        request_id: str | None,
        size: int,
        default: bool = False,
    ) -> None:
        """The same for whoever does not wait: the answer goes to ``promise``."""
        row = advice_id or new_id()
        self._commits.add(
            RewardCall(row, self._deadline, promise, request_id, size, reward, advice_id, context, action, default)
        )

    async def imagine(
        self, script: str, seed: int, context: dict[str, Any] | None = None, action: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run ``get_context`` or ``get_reward``, the scripts that simulate the world; nothing is kept of it."""
        item = Item(0, seed, context or {}, action or {}, {})
        while True:
            await self.runtime.current(self._limits.staleness_seconds)
            try:
                outcome, view = (await self.runtime.run(script, [item], keep=False))[0]
            except StaleView:
                continue
            if isinstance(outcome, Failed):
                raise self._reports.report(view.experiment, outcome)
            return outcome.result if isinstance(outcome, Done) else {}

    @property
    def busy(self) -> bool:
        """Whether calls wait or are worked on."""
        return self._commits.busy or self._actions.busy

    async def idle(self) -> None:
        """Wait until both lanes are empty."""
        while self.busy:  # one may hand on to the other
            await self._actions.idle()
            await self._commits.idle()

    @property
    def _deadline(self) -> float:
        return now() + self._limits.timeout_seconds * _SHARE

    def _hand_on(self, call: ActionCall) -> None:
        self._actions_commit = True
        self._commits.put_back([call])
