"""One live experiment in this server: its view, its cache of thetas, and the way to its worker.

The rules that keep several servers exact:

* every commit moves the experiment's head on from exactly the place its scripts read at, so a commit that read
  something older changes nothing and is run again;
* a theta document carries the seq that wrote it: what was read is right for the view as long as no document is
  newer than the view's head, and if one is, the view is brought up to date first;
* the worker holds a part of the cache and never more, so whatever changes in the cache is told to it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable

from app.domain.experiment import LIVE, Head
from app.domain.theta import ThetaKey
from app.engine.head_watcher import HeadWatcher
from app.engine.limits import Limits
from app.engine.reader import ExperimentReader
from app.engine.thetas import CachedTheta, CacheUsage, StaleView, ThetaCache, ThetaFetcher, encoded
from app.engine.view import View
from app.engine.worker_session import BatchCrashed, Outcome, WorkerSession, harmful
from app.errors import KeyRefused
from app.sandbox.host.channel import WorkerEnded
from app.sandbox.host.pool import Pool
from app.sandbox.protocol import Failed, Item, Missed
from app.storage.thetas import StoredTheta

ROUNDS = 8
_CATCH_UP = 5_000

now = time.monotonic

# What a runtime leases its workers by: never the same twice, so that no worker outlives what it was told.
_generations = itertools.count()


class Runtime:
    """The state of one experiment and the two things done with it: bring it up to date, run scripts on it."""

    def __init__(
        self,
        exp_id: str,
        reader: ExperimentReader,
        pool: Pool,
        limits: Limits,
        usage: CacheUsage,
        watcher: HeadWatcher,
    ) -> None:
        self.exp_id = exp_id
        self.view: View | None = None
        self.generation = next(_generations)
        self.cache = ThetaCache(usage)
        self.session = WorkerSession(exp_id, limits.call_seconds)
        self.thetas = ThetaFetcher(self, reader, self.cache, self.session, limits.theta_range_max)
        self._reader = reader
        self._pool = pool
        self._limits = limits
        self._watcher = watcher
        self._loading = asyncio.Lock()
        # Held by whoever tells the worker things, and by whoever reads what it will be told: what is newer than the
        # view is in the cache for a moment before the view is brought up to date, and nobody may run on it then.
        self._telling = asyncio.Lock()
        self._checked = 0.0

    # The view ------------------------------------------------------------------------------------------------------

    async def current(self, max_age: float) -> View:
        """Return the view, no more than ``max_age`` seconds behind the database."""
        view, watcher = self.view, self._watcher
        if view is None or now() - watcher.checked(self._checked) > max_age or watcher.outdated(view):
            return await self.refresh()
        return view

    async def refresh(self) -> View:
        """Take in what other servers committed; raises ``KeyRefused`` if the experiment is deleted."""
        async with self._loading:
            asked = now()
            view = self.view
            if view is not None:
                heads = await self._reader.heads(list(view.heads))
                if not view.has_scripts_of(heads) or (
                    not view.agrees(view.moved(heads.values())) and not await self._catch_up(view, heads)
                ):
                    view = None
            # Everything may also have been dropped while this was read, to make room or to start afresh.
            if view is None or self.view is None:
                self.view = await self._load()
            self._checked = asked
            return self.view

    async def _load(self) -> View:
        """Start from nothing: the experiment and its head as they are now."""
        while True:
            head = (await self._reader.heads([self.exp_id])).get(self.exp_id)
            experiment = await self._reader.experiment(self.exp_id)
            if head is None or head.state != LIVE or experiment is None:
                self.drop()
                raise KeyRefused()
            if experiment.revision == head.revision:  # else an edit came between the two reads
                break
        self.drop()
        return View(self.exp_id, {self.exp_id: experiment}, {self.exp_id: head})

    async def _catch_up(self, view: View, heads: dict[str, Head]) -> bool:
        """Apply what was written since the view; False if that is too much and starting afresh is better."""
        while True:
            changed: list[StoredTheta] = []
            for exp_id, head in heads.items():
                known = view.heads[exp_id]
                if head.seq != known.seq:
                    changed += await self._reader.changed_since(exp_id, head.epoch, known.seq, _CATCH_UP)
            if len(changed) >= _CATCH_UP:
                return False
            if all(theta.seq <= heads[theta.key.exp_id].seq for theta in changed):
                break
            heads = await self._reader.heads(list(heads))  # more was committed since the heads were read
            if not view.has_scripts_of(heads):
                return False
        latest = self.view
        if latest is None or any(latest.heads[e].seq > head.seq for e, head in heads.items() if e in latest.heads):
            return latest is not None  # our own commit came in meanwhile and knows more
        for theta in changed:
            if self.cache.concerns(theta.key):
                self.thetas.hold(theta.key, CachedTheta(encoded(theta), stored=True))
        self.view = latest.moved(heads.values())
        return True

    def drop(self) -> None:
        """Forget everything; the next call loads again, on another worker."""
        self.view = None
        self.cache.clear()
        self._pool.forget(self.generation)
        self.generation = next(_generations)
        self.session.forget()

    # Running scripts -----------------------------------------------------------------------------------------------

    async def run(self, script: str, items: list[Item], *, keep: bool) -> dict[int, tuple[Outcome, View]]:
        """Run the script for each item; return each outcome by the item's number, with the view it was run on.

        With ``keep`` the items see each other's writes, and all are run on one view, or ``StaleView`` is raised; the
        writes then wait in the worker until ``committed``. Items that need thetas the worker does not hold are run
        again once it holds them, with the same seed, so that they draw the same. Raises ``BatchCrashed`` if the worker
        dies with several items.
        """
        try:
            return await self._run(script, items, keep)
        except WorkerEnded as first:
            if len(items) > 1:
                raise BatchCrashed from first
            # Perhaps it was killed from outside: a call is given up only if its worker ends a second time.
            self._pool.expire_spares()
            try:
                return await self._run(script, items, keep)
            except WorkerEnded as error:
                if self.view is None:
                    raise StaleView from error
                return {items[0].number: (harmful(script, items[0], error, self._limits.call_seconds), self.view)}

    async def _run(self, script: str, items: list[Item], keep: bool) -> dict[int, tuple[Outcome, View]]:
        view = self.view
        if view is None:
            raise StaleView
        generation = self.generation
        results: dict[int, tuple[Outcome, View]] = {}
        async with self._pool.lease(generation) as worker, self._telling:
            if self.view is None or self.generation != generation:
                raise StaleView
            self.session.meet(worker, {e: experiment.scripts for e, experiment in self.view.experiments.items()})
            if keep:
                self.session.begin_keeping(worker)
            todo = items
            at: View | None = view
            for round_ in range(ROUNDS + 1):
                missed: list[Missed] = []
                at = self.view
                if at is None or self.generation != generation or (keep and not view.agrees(at)):
                    worker.kill()  # it may serve a revision that is no longer
                    raise StaleView
                for outcome in await self.session.run(worker, script, todo, keep, at.heads):
                    if isinstance(outcome, Missed):
                        missed.append(outcome)
                    else:
                        results[outcome.number] = (outcome, at)
                if not missed:
                    break
                numbers = {miss.number for miss in missed}
                todo = [item for item in todo if item.number in numbers]
                await self._fetch(missed, round_)
            else:
                assert at is not None
                for item in todo:
                    results[item.number] = (_too_many_rounds(script, item), at)
            if self.generation != generation or any(isinstance(outcome, Failed) for outcome, _ in results.values()):
                worker.kill()  # nobody will ask for it again, or it may hold what a script left half done
        if self.cache.size > self._limits.theta_cache_bytes:
            self.cache.clear()
            self.session.clear()
        return results

    def committed(self, basis: View, heads: list[Head], writes: dict[ThetaKey, bytes | None]) -> None:
        """Take over what a batch that was run on ``basis`` with ``keep`` has committed."""
        if basis.agrees(self.view):
            assert self.view is not None
            for key, theta in writes.items():
                self.cache.put(key, CachedTheta(theta, stored=True))
            self.session.committed(writes)
            self.view = self.view.moved(heads)
        elif self.view is not None and any(
            self.view.heads[head.exp_id].seq < head.seq for head in heads if head.exp_id in self.view.heads
        ):
            self.drop()  # a refresh saw one of several heads before our commit: start afresh

    # What is missing -----------------------------------------------------------------------------------------------

    async def know(self, keys: Iterable[ThetaKey]) -> None:
        """Make sure that the cache knows whether each key has a document; ``StaleView`` if that moved the view.

        Of a key that is missing in a range known whole that isn't known: it may have been deleted.
        """
        unknown = [key for key in keys if key not in self.cache.entries]
        view = self.view
        if unknown and view is not None:
            async with self._telling:
                await self.thetas.fetch(unknown)
        if view is None or not view.agrees(self.view):
            raise StaleView

    async def _fetch(self, missed: list[Missed], round_: int) -> None:
        """Get what the items missed and tell the worker."""
        for exp_id in {e for miss in missed for e in miss.programs}:
            await self.join(exp_id)
        keys = {ThetaKey(*names) for miss in missed for names in miss.thetas}
        ranges = {(e, n, k) for miss in missed for e, n, k in miss.ranges}
        await self.thetas.fetch_missed(keys, ranges, round_)

    async def join(self, exp_id: str) -> None:
        """Let the scripts call another experiment, if it has the same owner; ``StaleView`` if all was dropped."""
        generation = self.generation
        experiment = await self._reader.experiment(exp_id)
        head = (await self._reader.heads([exp_id])).get(exp_id)
        if self.view is None or self.generation != generation:
            raise StaleView
        ours = experiment is not None and experiment.owner == self.view.experiment.owner
        if experiment is None or head is None or head.state != LIVE or not ours:
            self.session.tell_program(exp_id, None)
        elif experiment.revision == head.revision:
            self.session.tell_program(exp_id, experiment.scripts)
            self.view = self.view.joined_by(experiment, head)


def _too_many_rounds(script: str, item: Item) -> Failed:
    message = (
        f"{script} asks for thetas one after another, each depending on the last, more than {ROUNDS} times; "
        "ask for a whole key with get_theta(key) instead"
    )
    return Failed(item.number, script, message, None, None, False)
