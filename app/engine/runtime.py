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
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from app.domain.experiment import Head
from app.domain.theta import ThetaKey
from app.engine.head_watcher import HeadWatcher
from app.engine.limits import Limits
from app.engine.view import CachedTheta, CacheUsage, ThetaCache, View, WorkerUpdate
from app.errors import KeyRefused
from app.sandbox.host import reply_validation
from app.sandbox.host.channel import Worker, WorkerEnded, WorkerLost, WorkerTooSlow
from app.sandbox.host.pool import Pool
from app.sandbox.protocol import (
    Done,
    Entry,
    Failed,
    Item,
    Missed,
    PutOff,
    RangeName,
    RunScript,
    encode,
)
from app.storage.heads import LIVE
from app.storage.store import Store, StoreSnapshot
from app.storage.thetas import StoredTheta

Outcome = Done | Failed | PutOff

ROUNDS = 8
_PREFETCH = 1_000
_CATCH_UP = 5_000
# What scheduling and the pipe may add to the time that scripts are given, before the worker counts as hung.
_GRACE_SECONDS = 1.0


now = time.monotonic


# What a runtime leases its workers by: never the same twice, so that no worker outlives what it was told.
_keys = itertools.count()


class StaleView(Exception):
    """The heads moved on while a batch was being run: it must be run again."""


class BatchCrashed(Exception):
    """The worker was lost during a frame of several items: one of them did it, and they must be run singly."""


class Runtime:
    """The state of one experiment and the two things done with it: bring it up to date, run scripts on it."""

    def __init__(
        self,
        exp_id: str,
        store: Store | StoreSnapshot,
        pool: Pool,
        limits: Limits,
        ledger: CacheUsage,
        hints: HeadWatcher,
    ) -> None:
        self.exp_id = exp_id
        self.view: View | None = None
        self.cache = ThetaCache(ledger)
        self._store = store
        self._pool = pool
        self._limits = limits
        self._hints = hints
        self._outbox = WorkerUpdate()
        self._worker: Worker | None = None
        self._keeper: Worker | None = None
        self._key = next(_keys)
        self._loading = asyncio.Lock()
        # Held by whoever tells the worker things, and by whoever reads what it will be told: what is newer than the
        # view is in the cache for a moment before the view is brought up to date, and nobody may run on it then.
        self._telling = asyncio.Lock()
        self._checked = 0.0

    # The view ------------------------------------------------------------------------------------------------------

    async def current(self, max_age: float) -> View:
        """The view, no more than ``max_age`` seconds behind the database."""
        view, hints = self.view, self._hints
        if view is None or now() - hints.checked(self._checked) > max_age or hints.outdated(view):
            return await self.refresh()
        return view

    async def refresh(self) -> View:
        """Read the heads again and take in what other servers committed; ``KeyRefused`` if it is deleted."""
        async with self._loading:
            asked = now()
            view = self.view
            if view is not None:
                heads = await self._store.heads.find(list(view.heads))
                if not _same_programs(view, heads) or (
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
            head = (await self._store.heads.find([self.exp_id])).get(self.exp_id)
            experiment = await self._store.experiments.find(self.exp_id)
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
            news: list[StoredTheta] = []
            for exp_id, head in heads.items():
                known = view.heads[exp_id]
                if head.seq != known.seq:
                    news += await self._store.thetas.changed_since(exp_id, head.epoch, known.seq, _CATCH_UP)
            if len(news) >= _CATCH_UP:
                return False
            if all(theta.seq <= heads[theta.key.exp_id].seq for theta in news):
                break
            heads = await self._store.heads.find(list(heads))  # more was committed since the heads were read
            if not _same_programs(view, heads):
                return False
        latest = self.view
        if latest is None or any(latest.heads[e].seq > head.seq for e, head in heads.items() if e in latest.heads):
            return latest is not None  # our own commit came in meanwhile and knows more
        for theta in news:
            if self.cache.concerns(theta.key):
                self._hold(theta.key, CachedTheta(_encoded(theta), stored=True))
        self.view = latest.moved(heads.values())
        return True

    def drop(self) -> None:
        """Forget everything; the next call loads again, on another worker."""
        self.view = None
        self.cache.clear()
        self._pool.forget(self._key)
        self._key = next(_keys)
        self._worker = None

    # Running scripts -----------------------------------------------------------------------------------------------

    async def run(self, script: str, items: list[Item], *, keep: bool) -> dict[int, tuple[Outcome, View]]:
        """Run the script for each item; each outcome by the item's number, with the view it was run on.

        With ``keep`` the items see each other's writes, and all are run on one view, or ``StaleView`` is raised; the
        writes then wait in the worker until ``committed``. Items that need thetas the worker does not hold are run
        again once it holds them, with the same seed, so that they draw the same.
        """
        try:
            return await self._run(script, items, keep)
        except WorkerEnded as first:
            if len(items) > 1:
                raise BatchCrashed from first
            # Perhaps it was killed from outside: a call is given up only if its worker ends a second time.
            self._pool.distrust_spares()
            try:
                return await self._run(script, items, keep)
            except WorkerEnded as error:
                if self.view is None:
                    raise StaleView from error
                return {items[0].number: (_harmful(script, items[0], error, self._limits.call_seconds), self.view)}

    async def _run(self, script: str, items: list[Item], keep: bool) -> dict[int, tuple[Outcome, View]]:
        view = self.view
        if view is None:
            raise StaleView
        key = self._key
        results: dict[int, tuple[Outcome, View]] = {}
        async with self._pool.lease(key) as worker, self._telling:
            if self._key != key:
                raise StaleView
            self._meet(worker)
            if keep:
                self._keeper = worker
                self._outbox.settle = self._outbox.settle or "drop"
            todo = items
            at: View | None = view
            for round_ in range(ROUNDS + 1):
                missed: list[Missed] = []
                at = self.view
                if at is None or self._key != key or (keep and not view.agrees(at)):
                    worker.kill()  # it may serve a revision that is no longer
                    raise StaleView
                for outcome in await self._ask(worker, script, todo, keep, at):
                    if isinstance(outcome, Missed):
                        missed.append(outcome)
                    else:
                        results[outcome.number] = (outcome, at)
                if not missed:
                    break
                numbers = {miss.number for miss in missed}
                todo = [item for item in todo if item.number in numbers]
                await self._bring(missed, round_)
            else:
                assert at is not None
                for item in todo:
                    results[item.number] = (_too_many_rounds(script, item), at)
            if self._key != key or any(isinstance(outcome, Failed) for outcome, _ in results.values()):
                worker.kill()  # nobody will ask for it again, or it may hold what a script left half done
        if self.cache.size > self._limits.theta_cache_bytes:
            self.cache.clear()
            # What was about to be sent is no longer held either: nobody would tell the worker when it changes.
            self._outbox = WorkerUpdate(settle=self._outbox.settle, clear=True, programs=self._outbox.programs)
        return results

    def _meet(self, worker: Worker) -> None:
        """A worker that was not ours last time holds nothing yet, and nothing that waits for it is of use."""
        if worker is self._worker:
            return
        assert self.view is not None
        self._worker = worker
        self._outbox = WorkerUpdate(programs={e: experiment.scripts for e, experiment in self.view.experiments.items()})

    async def _ask(
        self, worker: Worker, script: str, items: list[Item], keep: bool, view: View
    ) -> list[Outcome | Missed]:
        out, self._outbox = self._outbox, WorkerUpdate()
        seconds = self._limits.call_seconds
        frame = RunScript(
            exp_id=self.exp_id,
            script=script,
            items=items,
            seconds=seconds,
            keep=keep,
            clear=out.clear,
            settle=out.settle,
            programs=out.programs,
            thetas=[Entry(*key, theta) for key, theta in out.thetas.items()],
            complete=list(out.complete),
            too_wide=list(out.too_wide),
        )
        allowed = seconds * (1 if len(items) == 1 else 2) + _GRACE_SECONDS
        try:
            return await reply_validation.read(await worker.request(encode(frame), allowed), items, view.heads)
        except (WorkerLost, reply_validation.Forged) as error:
            worker.kill()
            if len(items) > 1:
                raise BatchCrashed from error
            if isinstance(error, WorkerEnded):
                raise
            return [_harmful(script, items[0], error, seconds)]

    def committed(self, basis: View, heads: list[Head], writes: dict[ThetaKey, bytes | None]) -> None:
        """A batch that was run on ``basis`` with ``keep`` is committed: its writes are now what is so."""
        if basis.agrees(self.view):
            assert self.view is not None
            # The worker that has the writes waiting may have been killed or replaced since, and what is about to be
            # sent may hold what was so before: then the writes are sent.
            waiting = self._keeper is self._worker and self._worker is not None and self._worker.alive
            for key, theta in writes.items():
                self.cache.put(key, CachedTheta(theta, stored=True))
                if waiting:
                    self._outbox.thetas.pop(key, None)
                else:
                    self._outbox.thetas[key] = theta
            self.view = self.view.moved(heads)
            if waiting:
                self._outbox.settle = "promote"
        elif self.view is not None and any(
            self.view.heads[head.exp_id].seq < head.seq for head in heads if head.exp_id in self.view.heads
        ):
            self.drop()  # a refresh saw one of several heads before our commit: start afresh

    # Thetas that are missing ---------------------------------------------------------------------------------------

    async def know(self, keys: Iterable[ThetaKey]) -> None:
        """Make sure that the cache knows whether each key has a document; ``StaleView`` if that moved the view.

        Of a key that is missing in a range known whole that isn't known: it may have been deleted.
        """
        unknown = [key for key in keys if key not in self.cache.entries]
        view = self.view
        if unknown and view is not None:
            async with self._telling:
                await self._fetch_keys(unknown)
        if view is None or not view.agrees(self.view):
            raise StaleView

    async def _bring(self, missed: list[Missed], round_: int) -> None:
        """Get what the items missed and put it in the outbox, from the cache or the database."""
        keys = {ThetaKey(*names) for miss in missed for names in miss.thetas}
        ranges = {(e, n, k) for miss in missed for e, n, k in miss.ranges}
        for exp_id in {e for miss in missed for e in miss.programs}:
            await self._join(exp_id)
        await self._fetch_keys([key for key in keys if self.cache.get(key) is None])
        for key in keys:
            held = self.cache.get(key)
            if held is not None:
                self._outbox.thetas[key] = held.theta
        if round_:
            # A script that asks for one theta after the other is given their neighbours with the second.
            asked = Counter((key.exp_id, key.name, key.key if round_ == 1 else None) for key in keys)
            for wanted in asked:
                await self._fetch_range(wanted, _PREFETCH)
        for wanted in ranges:
            if not await self._fetch_range(wanted, self._limits.theta_range_max):
                self._outbox.too_wide.add(wanted)

    async def _join(self, exp_id: str) -> None:
        """Let the scripts call another experiment of the same owner."""
        generation = self._key
        experiment = await self._store.experiments.find(exp_id)
        head = (await self._store.heads.find([exp_id])).get(exp_id)
        if self.view is None or self._key != generation:
            raise StaleView
        ours = experiment is not None and experiment.owner == self.view.experiment.owner
        if experiment is None or head is None or head.state != LIVE or not ours:
            self._outbox.programs[exp_id] = None
        elif experiment.revision == head.revision:
            self._outbox.programs[exp_id] = experiment.scripts
            self.view = self.view.joined_by(experiment, head)

    async def _fetch_keys(self, keys: list[ThetaKey]) -> None:
        if not keys:
            return
        wanted = {key.exp_id for key in keys}
        view, found = await self._read(wanted, lambda view: self._store.thetas.find(keys, _epochs(view)))
        there = {theta.key for theta in found}
        for key in keys:
            if key not in there:
                self._hold(key, CachedTheta(None, stored=False))
        await self._take_in(view, found)

    async def _fetch_range(self, wanted: RangeName, limit: int) -> bool:
        """Hold a whole range and tell the worker; False if it is wider than ``limit``."""
        if not self.cache.has_range(wanted):
            exp_id, name, key = wanted
            wide = False

            async def whole(view: View) -> list[StoredTheta]:
                nonlocal wide
                head = view.heads[exp_id]
                found = await self._store.thetas.find_range(exp_id, head.epoch, name, key, limit + 1)
                wide = len(found) > limit
                # One that was deleted after the view is missing among them, and must move the view all the same.
                return found + await self._store.thetas.changed_since(exp_id, head.epoch, head.seq, 1)

            view, found = await self._read({exp_id}, whole)
            if wide:
                return False
            self.cache.add_range(wanted)
            await self._take_in(view, found)
        for entry in self.cache.in_range(wanted):
            self._outbox.thetas[ThetaKey(entry.exp_id, entry.name, entry.key, entry.value)] = entry.theta
        self._outbox.complete.add(wanted)
        return True

    async def _read(
        self, exp_ids: set[str], query: Callable[[View], Awaitable[list[StoredTheta]]]
    ) -> tuple[View, list[StoredTheta]]:
        """What the query finds while the view stays where it is: a view that moved meanwhile may know of more.

        ``StaleView`` if everything was dropped meanwhile: what is held and told from then on is another worker's.
        """
        generation = self._key
        while True:
            view = self.view
            if view is None or self._key != generation or not exp_ids <= view.heads.keys():
                raise StaleView
            found = await query(view)
            if view.agrees(self.view) and self._key == generation:
                return view, found

    async def _take_in(self, view: View, found: list[StoredTheta]) -> None:
        """Hold what was read; if something is newer than the view, bring the view up to date as well."""
        for theta in found:
            self._hold(theta.key, CachedTheta(_encoded(theta), stored=True))
        if any(theta.seq > view.heads[theta.key.exp_id].seq for theta in found):
            generation = self._key
            await self.refresh()
            if self._key != generation:
                raise StaleView

    def _hold(self, key: ThetaKey, held: CachedTheta) -> None:
        self.cache.put(key, held)
        self._outbox.thetas[key] = held.theta


def _same_programs(view: View, heads: dict[str, Head]) -> bool:
    """Whether no experiment of the view was edited, reset or deleted."""
    return all(
        (head := heads.get(exp_id)) is not None
        and (head.state, head.revision, head.epoch) == (LIVE, known.revision, known.epoch)
        for exp_id, known in view.heads.items()
    )


def _epochs(view: View) -> dict[str, int]:
    return {exp_id: head.epoch for exp_id, head in view.heads.items()}


def _encoded(theta: StoredTheta) -> bytes | None:
    return None if theta.theta is None else encode(theta.theta)


def _harmful(script: str, item: Item, error: Exception, seconds: float) -> Failed:
    if isinstance(error, WorkerTooSlow):
        message = f"{script} ran longer than {seconds:g} s and had to be killed"
    elif isinstance(error, WorkerEnded):
        message = f"{script} ended the process it ran in, or used up its memory"
    else:
        message = f"{script} made its process give an answer that no script may give: {error}"[:500]
    return Failed(item.number, script, message, None, None, True)


def _too_many_rounds(script: str, item: Item) -> Failed:
    message = (
        f"{script} asks for thetas one after another, each depending on the last, more than {ROUNDS} times; "
        "ask for a whole key with get_theta(key) instead"
    )
    return Failed(item.number, script, message, None, None, False)
