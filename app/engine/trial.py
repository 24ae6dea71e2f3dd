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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.domain.experiment import SCRIPTS
from app.domain.ids import seed_of
from app.domain.theta import ThetaKey, joined
from app.engine.head_watcher import HeadWatcher
from app.engine.limits import Limits
from app.engine.runtime import Runtime
from app.engine.view import CachedTheta, CacheUsage, View
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

Writes = dict[ThetaKey, bytes | None]


@dataclass(frozen=True)
class Trial:
    """What to try: ``run`` of these ``scripts``, on the live theta or, with ``empty``, on none.

    ``context``, ``action`` and ``reward`` are what the scripts that are not run would have filled, and ``writes`` what
    an earlier part of the visit wrote.
    """

    run: tuple[str, ...]
    seed: int
    scripts: dict[str, str] = field(default_factory=dict)
    empty: bool = False
    context: dict[str, Any] = field(default_factory=dict)
    action: dict[str, Any] = field(default_factory=dict)
    reward: dict[str, Any] = field(default_factory=dict)
    writes: Writes = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A theta that was written: what it was, and what it would be; None where there is none."""

    key: ThetaKey
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Failure:
    """What is wrong with a script; ``column`` and ``line``, counted from 1, where they are known."""

    script: str
    message: str
    line: int | None = None
    column: int | None = None
    source: str | None = None


@dataclass
class Tried:
    """What came of a trial. ``before`` and ``after`` are the whole theta, or None where that is too much to show.

    ``done`` are the scripts that ran to their end, and ``writes`` what there was before ``set_reward`` wrote.
    """

    context: dict[str, Any]
    action: dict[str, Any]
    reward: dict[str, Any]
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    changes: list[Change] = field(default_factory=list)
    unshown: int = 0  # more changes, which are too many or too large to show
    logs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    debug: list[tuple[str, Any]] = field(default_factory=list)
    writes: Writes = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    failed: Failure | None = None


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
            async with self._store.snapshot() as moment:
                runtime = _Apart(exp_id, moment, self._pool, self._limits, trial)
                try:
                    return await runtime.visit()
                finally:
                    runtime.drop()


class _Apart(Runtime):
    """A runtime that only one trial knows of."""

    def __init__(self, exp_id: str, moment: StoreSnapshot, pool: Pool, limits: Limits, trial: Trial) -> None:
        super().__init__(exp_id, moment, pool, limits, CacheUsage(), HeadWatcher(None, 0))
        self._trial = trial
        self._first: Writes = {}
        self._written: Writes = {}

    async def visit(self) -> Tried:
        """The whole trial."""
        trial = self._trial
        tried = Tried(trial.context, trial.action, trial.reward)
        await self.refresh()
        tried.before = await self._whole_theta()
        await self._pretend(trial.writes)
        tried.writes = dict(self._written)
        for script in (script for script in SCRIPTS if script in trial.run):
            outcome = await self._script(script, tried)
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
                tried.writes = dict(self._written)
        tried.after = tried.before if tried.before is None else await self._whole_theta()
        self._show_changes(tried)
        return tried

    async def _script(self, script: str, tried: Tried) -> Done | Failed:
        place = SCRIPTS.index(script)
        filled = [tried.context, tried.action, tried.reward][:place]
        item = Item(0, seed_of(script, str(self._trial.seed)), *filled, *[{}] * (3 - len(filled)))
        outcome, _ = (await self.run(script, [item], keep=False))[0]
        assert isinstance(outcome, Done | Failed)
        return outcome

    async def _pretend(self, writes: Writes) -> None:
        """From here on the scripts find what was written, as if it had been committed."""
        for exp_id in {key.exp_id for key in writes} - self._known:
            await self._join(exp_id)
        writes = {key: theta for key, theta in writes.items() if key.exp_id in self._known}
        await self.know(writes)
        for key, theta in writes.items():
            held = self.cache.get(key)
            self._first.setdefault(key, held.theta if held else None)
            self._written[key] = theta
            self._hold(key, CachedTheta(theta, stored=True))

    def _hold(self, key: ThetaKey, held: CachedTheta) -> None:
        """What was written stays, whatever is read from the database afterwards."""
        super()._hold(key, CachedTheta(self._written[key], stored=True) if key in self._written else held)

    @property
    def _known(self) -> set[str]:
        return set(self.view.heads) if self.view else set()

    async def _whole_theta(self) -> dict[str, Any] | None:
        """What ``get_theta()`` would give, unless that is too much to show."""
        wanted = self.exp_id, "_theta", None
        if not await self._fetch_range(wanted, _SHOWN_THETAS):
            return None
        there = [entry for entry in self.cache.in_range(wanted) if entry.theta is not None]
        if len(there) > _SHOWN_THETAS or sum(len(entry.theta or b"") for entry in there) > _SHOWN_BYTES:
            return None
        if len(there) == 1 and there[0].key is None and there[0].value is None:
            return dict(_content(there[0].theta))
        return {joined(entry.key, entry.value): _content(entry.theta) for entry in there}

    def _show_changes(self, tried: Tried) -> None:
        room = _SHOWN_BYTES
        for key, theta in self._written.items():
            before = self._first[key]
            if theta == before:
                continue
            room -= len(before or b"") + len(theta or b"")
            if room < 0 or len(tried.changes) >= _SHOWN_THETAS:
                tried.unshown += 1
            else:
                tried.changes.append(Change(key, _content(before), _content(theta)))

    async def _load(self) -> View:
        view = await super()._load()
        scripts: dict[str, Any] = self._trial.scripts
        tried = dataclasses.replace(view.experiment, **scripts)
        return dataclasses.replace(view, experiments={self.exp_id: tried})

    async def _read(
        self, exp_ids: set[str], query: Callable[[View], Awaitable[list[StoredTheta]]]
    ) -> tuple[View, list[StoredTheta]]:
        if not self._trial.empty:
            return await super()._read(exp_ids, query)
        assert self.view is not None
        return self.view, []


def _content(theta: bytes | None) -> Any:
    return None if theta is None else _decode(theta)
