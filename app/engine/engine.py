"""The engine: finds an experiment's runtime, checks its key, queues the call and waits for its answer."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from typing import Any

from app.domain.ids import new_id
from app.domain.requests import ActionAnswer, ActionRequest, RewardAnswer, RewardRequest
from app.engine.actions import ActionBatches, ExperimentContext
from app.engine.advices import Advices
from app.engine.call_queue import CallQueue, QueueLimits
from app.engine.calls import ActionCall, AnyCall, Promise, RewardCall
from app.engine.commits import CommitBatches
from app.engine.head_watcher import HeadWatcher
from app.engine.limits import Limits
from app.engine.reader import StoreReader
from app.engine.reports import Reports
from app.engine.runtime import Runtime, now
from app.engine.thetas import CacheUsage, StaleView
from app.errors import KeyRefused, Overloaded, StoreUnavailable
from app.sandbox.host.pool import Pool
from app.sandbox.protocol import Done, Failed, Item
from app.storage.store import Store

_MAX_RUNTIMES = 10_000
# Some thirty thousand advices.
_ADVICES_BYTES = 64 * 2**20
# The rest of a call's time, after its deadline here, is for its answer to travel.
_SHARE = 0.9


class Engine:
    """getaction and setreward for every experiment, each with two queues of its own."""

    def __init__(self, store: Store, pool: Pool, limits: Limits) -> None:
        self._store = store
        self._pool = pool
        self._limits = limits
        self._queue_limits = QueueLimits(limits.queue_calls, limits.queue_bytes)
        self._usage = CacheUsage()
        self._watcher = HeadWatcher(store.stream, limits.listening_seconds)
        self._reports = Reports(store)
        self._advices = Advices(_ADVICES_BYTES)
        self._live: OrderedDict[str, LiveExperiment] = OrderedDict()
        self._closing = False

    async def authorize(self, exp_id: str, key: str) -> LiveExperiment:
        """Return the experiment to whoever has its key; ``KeyRefused`` for anybody else and where there is none."""
        live = await self.get(exp_id)
        view = live.runtime.view or await live.runtime.refresh()
        if not hmac.compare_digest(view.experiment.key.encode(), key.encode("utf-8", "surrogatepass")):
            raise KeyRefused()
        return live

    async def get(self, exp_id: str) -> LiveExperiment:
        """Return the experiment for the server's own purposes; ``KeyRefused`` where there is none."""
        live = self.get_loaded(exp_id)
        if live is not None:
            return live
        if self._closing:
            raise Overloaded()
        live = self._live.get(exp_id)
        if live is None:
            reader = StoreReader(self._store)
            runtime = Runtime(exp_id, reader, self._pool, self._limits, self._usage, self._watcher)
            context = ExperimentContext(runtime, self._store, self._limits, self._reports, self._advices)
            live = LiveExperiment(context, self._queue_limits)
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
        """Return the experiment if it is loaded and calls are taken; otherwise ``get`` loads it or says why not."""
        live = self._live.get(exp_id)
        if live is None or live.runtime.view is None or self._closing:
            return None
        self._live.move_to_end(exp_id)
        self._evict()
        return live

    async def invalidate(self, exp_id: str) -> None:
        """Return once the next call sees what this server changed of the experiment."""
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
        await self._watcher.close()
        await self._reports.flush()

    def _evict(self) -> None:
        """Forget the experiments that were not called for longest, while they are too many or hold too much."""
        while len(self._live) > _MAX_RUNTIMES or (
            self._usage.size > self._limits.theta_cache_bytes and len(self._live) > 1
        ):
            exp_id, live = self._live.popitem(last=False)
            if live.busy:
                self._live[exp_id] = live
                return
            live.runtime.drop()


class LiveExperiment:
    """A runtime with its two queues: one for calls that only read theta, and one for calls that commit."""

    def __init__(self, context: ExperimentContext, queue_limits: QueueLimits) -> None:
        self.runtime = context.runtime
        self._limits = limits = context.limits
        self._reports = context.reports
        self._actions_commit = False
        bounds = queue_limits, limits.queue_calls_per_experiment, limits.batch_calls
        self._commits: CallQueue[AnyCall] = CallQueue(CommitBatches(context).work, *bounds)
        self._actions: CallQueue[ActionCall] = CallQueue(ActionBatches(context, self._hand_on).work, *bounds)

    async def get_action(self, request: ActionRequest) -> ActionAnswer:
        """Decide; return once the decision is in the action log. Raises what ``ExperimentAPI`` says."""
        future: asyncio.Future[ActionAnswer] = asyncio.get_running_loop().create_future()
        self.queue_action(request, future)
        return await future

    def queue_action(self, request: ActionRequest, promise: Promise) -> None:
        """Decide without anybody waiting here: the answer goes to ``promise``. Raises ``Overloaded``."""
        call = ActionCall(new_id(), self._deadline, promise, request)
        if self._actions_commit:
            self._commits.add(call)
        else:
            self._actions.add(call)

    async def set_reward(self, request: RewardRequest) -> RewardAnswer:
        """Learn from a reward; return once theta and the reward log hold it. Raises what ``ExperimentAPI`` says."""
        future: asyncio.Future[RewardAnswer] = asyncio.get_running_loop().create_future()
        self.queue_reward(request, future)
        return await future

    def queue_reward(self, request: RewardRequest, promise: Promise) -> None:
        """Learn without anybody waiting here: the answer goes to ``promise``. Raises ``Overloaded``."""
        self._commits.add(RewardCall(request.advice_id or new_id(), self._deadline, promise, request))

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
        """Wait until both queues are empty."""
        while self.busy:  # one may hand on to the other
            await self._actions.idle()
            await self._commits.idle()

    @property
    def _deadline(self) -> float:
        return now() + self._limits.timeout_seconds * _SHARE

    def _hand_on(self, call: ActionCall) -> None:
        self._actions_commit = True
        self._commits.put_back([call])
