"""Trials: one visit of an experiment, run to be looked at; nothing of it is committed, counted or logged.

A trial has a runtime of its own, with a cache and a worker that nobody else uses and that end with it. It reads theta
as it was at one moment, however fast live calls change it; what its scripts write goes into that cache alone, where
the scripts after them find it. So neither the live theta nor what the live worker holds can be touched, and the
scripts may be ones that were never saved.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from typing import Any

import msgspec

from app.domain.experiment import SCRIPTS, Experiment
from app.domain.ids import seed_of
from app.domain.theta import ThetaKey, joined
from app.domain.trial import Change, Failure, Trial, Tried, Writes
from app.engine.head_watcher import HeadWatcher
from app.engine.limits import Limits
from app.engine.reader import StoreReader
from app.engine.runtime import Runtime
from app.engine.thetas import CachedTheta, CacheUsage
from app.errors import Overloaded
from app.sandbox.host.pool import Pool
from app.sandbox.protocol import Done, Failed, Item
from app.storage.client import time_limit
from app.storage.store import Store, StoreSnapshot
from app.storage.thetas import StoredTheta

_AT_ONCE = 3  # so that trials never take all the workers, nor much memory
_WAITING = 64
_SHOWN_THETAS = 500
_SHOWN_BYTES = 256 * 2**10
_FILLED = ("context", "action", "reward")
_decode = msgspec.msgpack.Decoder().decode


class Trials:
    """Makes trials, a few at a time."""

    def __init__(self, store: Store, pool: Pool, limits: Limits) -> None:
        self._store = store
        self._pool = pool
        # What a trial pretends is in its cache, which must not be cleared before the trial ends.
        self._limits = dataclasses.replace(limits, theta_cache_bytes=sys.maxsize)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def make(self, exp_id: str, trial: Trial) -> Tried:
        """Run it; ``Overloaded`` if too many others wait."""
        if self._waiting >= _WAITING:
            raise Overloaded()
        self._waiting += 1
        try:
            async with self._places:
                return await self._make(exp_id, trial)
        finally:
            self._waiting -= 1

    async def _make(self, exp_id: str, trial: Trial) -> Tried:
        with time_limit(self._limits.timeout_seconds):
            async with self._store.snapshot() as snapshot:
                reader = TrialReader(snapshot, exp_id, trial)
                runtime = Runtime(exp_id, reader, self._pool, self._limits, CacheUsage(), HeadWatcher(None, 0))
                try:
                    return await _Visit(runtime, reader, trial).make()
                finally:
                    runtime.drop()


class TrialReader(StoreReader):
    """Reads what a trial is about: its own scripts, and its own writes in place of what is stored."""

    def __init__(self, snapshot: StoreSnapshot, exp_id: str, trial: Trial) -> None:
        super().__init__(snapshot)
        self.written: Writes = {}
        self._exp_id = exp_id
        self._scripts: dict[str, Any] = trial.scripts
        self._empty = trial.empty

    async def experiment(self, exp_id: str) -> Experiment | None:
        """Return the experiment, the tried one with the trial's scripts."""
        found = await super().experiment(exp_id)
        return dataclasses.replace(found, **self._scripts) if found and exp_id == self._exp_id else found

    async def thetas(self, keys: list[ThetaKey], epochs: dict[str, int]) -> list[StoredTheta]:
        """Return those of the keys that were written or stored."""
        written = [_written(key, self.written[key]) for key in keys if key in self.written]
        asked = [key for key in keys if key not in self.written]
        return written + ([] if self._empty or not asked else await super().thetas(asked, epochs))

    async def theta_range(self, exp_id: str, epoch: int, name: str, key: str | None, limit: int) -> list[StoredTheta]:
        """Return the thetas of a range, stored or written."""
        stored = [] if self._empty else await super().theta_range(exp_id, epoch, name, key, limit)
        written = [
            _written(each, theta)
            for each, theta in self.written.items()
            if each.exp_id == exp_id and each.name == name and key in (None, each.key)
        ]
        return [theta for theta in stored if theta.key not in self.written] + written

    async def changed_since(self, exp_id: str, epoch: int, seq: int, limit: int) -> list[StoredTheta]:
        """Return nothing: a snapshot does not change."""
        return []


class _Visit:
    """The course of one trial."""

    def __init__(self, runtime: Runtime, reader: TrialReader, trial: Trial) -> None:
        self._runtime = runtime
        self._reader = reader
        self._trial = trial
        self._first: Writes = {}

    async def make(self) -> Tried:
        """Run the whole trial."""
        trial = self._trial
        tried = Tried(trial.context, trial.action, trial.reward)
        await self._runtime.refresh()
        tried.before = await self._whole_theta()
        await self._pretend(trial.writes)
        tried.writes = dict(self._reader.written)
        for script in (script for script in SCRIPTS if script in trial.run):
            outcome = await self._script(script, tried)
            if outcome.printed:
                tried.printed.append((script, outcome.printed))
            if isinstance(outcome, Failed):
                tried.failed = Failure(outcome.script, outcome.message, outcome.line, None, outcome.source)
                break
            if script != "set_reward":
                setattr(tried, _FILLED[SCRIPTS.index(script)], outcome.result)
            tried.logs += [(script, row) for row in outcome.logs]
            tried.debug += [(script, value) for value in outcome.debug]
            writes = {ThetaKey(one.exp_id, one.name, one.key, one.value): one.theta for one in outcome.writes}
            await self._pretend(writes)
            tried.done.append(script)
            if script != "set_reward":  # another reward for the same decision must not find what this one taught
                tried.writes = dict(self._reader.written)
        tried.after = tried.before if tried.before is None else await self._whole_theta()
        self._show_changes(tried)
        return tried

    async def _script(self, script: str, tried: Tried) -> Done | Failed:
        place = SCRIPTS.index(script)
        filled = [tried.context, tried.action, tried.reward][:place]
        item = Item(0, seed_of(script, str(self._trial.seed)), *filled, *[{}] * (3 - len(filled)))
        outcome, _ = (await self._runtime.run(script, [item], keep=False))[0]
        assert isinstance(outcome, Done | Failed)
        return outcome

    async def _pretend(self, writes: Writes) -> None:
        """Let the scripts find from here on what was written, as if it had been committed."""
        for exp_id in {key.exp_id for key in writes} - self._known:
            await self._runtime.join(exp_id)
        writes = {key: theta for key, theta in writes.items() if key.exp_id in self._known}
        await self._runtime.know(writes)
        for key, theta in writes.items():
            cached = self._runtime.cache.get(key)
            self._first.setdefault(key, cached.theta if cached else None)
            self._reader.written[key] = theta
            self._runtime.thetas.hold(key, CachedTheta(theta, stored=True))

    @property
    def _known(self) -> set[str]:
        return set(self._runtime.view.heads) if self._runtime.view else set()

    async def _whole_theta(self) -> dict[str, Any] | None:
        """What ``get_theta()`` would give, unless that is too much to show."""
        wanted = self._runtime.exp_id, "_theta", None
        if not await self._runtime.thetas.fetch_range(wanted, _SHOWN_THETAS):
            return None
        there = [entry for entry in self._runtime.cache.in_range(wanted) if entry.theta is not None]
        if len(there) > _SHOWN_THETAS or sum(len(entry.theta or b"") for entry in there) > _SHOWN_BYTES:
            return None
        if len(there) == 1 and there[0].key is None and there[0].value is None:
            return dict(_content(there[0].theta))
        return {joined(entry.key, entry.value): _content(entry.theta) for entry in there}

    def _show_changes(self, tried: Tried) -> None:
        room = _SHOWN_BYTES
        for key, theta in self._reader.written.items():
            before = self._first[key]
            if theta == before:
                continue
            room -= len(before or b"") + len(theta or b"")
            if room < 0 or len(tried.changes) >= _SHOWN_THETAS:
                tried.unshown += 1
            else:
                tried.changes.append(Change(key, _content(before), _content(theta)))


def _written(key: ThetaKey, theta: bytes | None) -> StoredTheta:
    return StoredTheta(key, 0, _content(theta))


def _content(theta: bytes | None) -> Any:
    return None if theta is None else _decode(theta)
