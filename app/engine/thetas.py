"""The thetas that a server holds of an experiment, and how those that a script misses get there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from app.domain.theta import ThetaKey
from app.engine.reader import ExperimentReader
from app.engine.view import View
from app.engine.worker_session import WorkerSession
from app.sandbox.protocol import Entry, RangeName, encode
from app.storage.thetas import StoredTheta

_PREFETCH = 1_000


class StaleView(Exception):
    """The heads moved on while a batch was being run: run it again."""


@dataclass(frozen=True)
class CachedTheta:
    """A theta as MessagePack, or None if there is none.

    ``stored`` says whether it has a document, if only a tombstone.
    """

    theta: bytes | None
    stored: bool


@dataclass
class CacheUsage:
    """How many bytes of theta all experiments of the process hold together."""

    size: int = 0


class ThetaCache:
    """Thetas at the view's heads. A worker holds a part of this and never more."""

    def __init__(self, usage: CacheUsage) -> None:
        self.entries: dict[ThetaKey, CachedTheta] = {}
        self.complete: set[RangeName] = set()
        self.size = 0
        self._usage = usage

    def put(self, key: ThetaKey, cached: CachedTheta) -> None:
        """Remember one theta."""
        self._grow(_size(key, cached) - _size(key, self.entries.get(key)))
        self.entries[key] = cached

    def add_range(self, wanted: RangeName) -> None:
        """Note that every theta of a range is cached."""
        if wanted not in self.complete:
            self._grow(_names_size(wanted))
            self.complete.add(wanted)

    def _grow(self, change: int) -> None:
        self.size += change
        self._usage.size += change

    def get(self, key: ThetaKey) -> CachedTheta | None:
        """Return what is known of one theta. A key missing in a range known whole has none."""
        cached = self.entries.get(key)
        if cached is None and self.has_range((key.exp_id, key.name, key.key)):
            return CachedTheta(None, stored=False)
        return cached

    def has_range(self, wanted: RangeName) -> bool:
        """Return whether every theta of the range is cached."""
        return wanted in self.complete or (wanted[0], wanted[1], None) in self.complete

    def in_range(self, wanted: RangeName) -> list[Entry]:
        """Return the thetas of a range."""
        exp_id, name, key = wanted
        return [
            Entry(*each, cached.theta)
            for each, cached in self.entries.items()
            if each.exp_id == exp_id and each.name == name and (key is None or each.key == key)
        ]

    def concerns(self, key: ThetaKey) -> bool:
        """Return whether a change of this theta changes what is cached."""
        return key in self.entries or self.has_range((key.exp_id, key.name, key.key))

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.complete.clear()
        self._usage.size -= self.size
        self.size = 0


class ViewHolder(Protocol):
    """The runtime, as far as fetching depends on it. ``generation`` changes whenever everything was dropped."""

    view: View | None
    generation: int

    async def refresh(self) -> View:
        """Bring the view up to date."""


class ThetaFetcher:
    """Reads thetas into the cache and tells the worker. All methods raise ``StaleView`` if everything was dropped."""

    def __init__(
        self, holder: ViewHolder, reader: ExperimentReader, cache: ThetaCache, session: WorkerSession, range_max: int
    ) -> None:
        self._holder = holder
        self._reader = reader
        self._cache = cache
        self._session = session
        self._range_max = range_max

    def hold(self, key: ThetaKey, cached: CachedTheta) -> None:
        """Put a theta into the cache, and tell the worker with the next frame."""
        self._cache.put(key, cached)
        self._session.tell(key, cached.theta)

    async def fetch_missed(self, keys: set[ThetaKey], ranges: set[RangeName], round_: int) -> None:
        """Get what a round of scripts missed, from the cache or the database, and tell the worker."""
        await self.fetch([key for key in keys if self._cache.get(key) is None])
        for key in keys:
            cached = self._cache.get(key)
            if cached is not None:
                self._session.tell(key, cached.theta)
        if round_:
            # A script that asks for one theta after the other is given their neighbours with the second.
            asked = Counter((key.exp_id, key.name, key.key if round_ == 1 else None) for key in keys)
            for wanted in asked:
                await self.fetch_range(wanted, _PREFETCH)
        for wanted in ranges:
            if not await self.fetch_range(wanted, self._range_max):
                self._session.tell_too_wide(wanted)

    async def fetch(self, keys: list[ThetaKey]) -> None:
        """Read thetas from the database."""
        if not keys:
            return
        wanted = {key.exp_id for key in keys}
        view, found = await self._read(wanted, lambda view: self._reader.thetas(keys, view.epochs))
        there = {theta.key for theta in found}
        for key in keys:
            if key not in there:
                self.hold(key, CachedTheta(None, stored=False))
        await self._take_in(view, found)

    async def fetch_range(self, wanted: RangeName, limit: int) -> bool:
        """Cache a whole range and tell the worker; return False if it is wider than ``limit``."""
        if not self._cache.has_range(wanted):
            exp_id, name, key = wanted
            wide = False

            async def whole(view: View) -> list[StoredTheta]:
                nonlocal wide
                head = view.heads[exp_id]
                found = await self._reader.theta_range(exp_id, head.epoch, name, key, limit + 1)
                wide = len(found) > limit
                # One that was deleted after the view is missing among them, and must move the view all the same.
                return found + await self._reader.changed_since(exp_id, head.epoch, head.seq, 1)

            view, found = await self._read({exp_id}, whole)
            if wide:
                return False
            self._cache.add_range(wanted)
            await self._take_in(view, found)
        self._session.tell_range(wanted, self._cache.in_range(wanted))
        return True

    async def _read(
        self, exp_ids: set[str], query: Callable[[View], Awaitable[list[StoredTheta]]]
    ) -> tuple[View, list[StoredTheta]]:
        """Return what the query finds while the view stays where it is: a view that moved may know of more.

        Raises ``StaleView`` if everything was dropped meanwhile: the cache and the session are another worker's then.
        """
        generation = self._holder.generation
        while True:
            view = self._holder.view
            if view is None or self._holder.generation != generation or not exp_ids <= view.heads.keys():
                raise StaleView
            found = await query(view)
            if view.agrees(self._holder.view) and self._holder.generation == generation:
                return view, found

    async def _take_in(self, view: View, found: list[StoredTheta]) -> None:
        """Cache what was read. If something is newer than the view, bring the view up to date as well."""
        for theta in found:
            self.hold(theta.key, CachedTheta(encoded(theta), stored=True))
        if any(theta.seq > view.heads[theta.key.exp_id].seq for theta in found):
            generation = self._holder.generation
            await self._holder.refresh()
            if self._holder.generation != generation:
                raise StaleView


def encoded(theta: StoredTheta) -> bytes | None:
    """Return the theta as the worker gets it."""
    return None if theta.theta is None else encode(theta.theta)


def _size(key: ThetaKey, cached: CachedTheta | None) -> int:
    return 0 if cached is None else _names_size(key) + len(cached.theta or b"")


def _names_size(names: Iterable[str | None]) -> int:
    return 200 + sum(len(name or "") for name in names)
