"""Which worker process serves which experiment: the state of the pool, and the one function that changes it.

Nothing here does I/O, so every case can be tested without processes. ``pool`` records what happened (a request came, a
worker is ready, a lease ended), calls ``assign`` and then carries out what that decided.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

# Bounds on what a worker can pile up in its memory, by mistake or on purpose.
MAX_LIFETIME_SECONDS = 1800.0
MAX_LIFETIME_FRAMES = 10_000
SPARES = 3


class WorkerState(Protocol):
    """What the assignment reads of a worker; times are those of ``time.monotonic``, in seconds."""

    alive: bool
    born: float
    used: float
    frames: int


W = TypeVar("W", bound=WorkerState)


@dataclass(eq=False)
class LeaseRequest(Generic[W]):
    """A caller that wants the worker of ``key``; ``slot`` is set once it has been given one."""

    key: Hashable
    slot: Slot[W] | None = None
    served: bool = False  # it has got a worker that runs


@dataclass(eq=False)
class Slot(Generic[W]):
    """The place of one process. ``key`` is None for a spare, ``worker`` while the process is being started."""

    key: Hashable | None = None
    worker: W | None = None
    request: LeaseRequest[W] | None = None  # whose lease it is; None while it is idle
    expired: bool = False  # it must serve no further lease

    @property
    def idle(self) -> bool:
        """Whether it has a running worker that nobody leases."""
        return self.worker is not None and self.request is None


@dataclass
class PoolChanges(Generic[W]):
    """What the pool must do now: start a process for each slot, hand workers to requests, kill workers."""

    start: list[Slot[W]] = field(default_factory=list)
    serve: list[tuple[LeaseRequest[W], W]] = field(default_factory=list)
    kill: list[W] = field(default_factory=list)


class Assignment(Generic[W]):
    """At most ``max_workers`` slots. With ``single_use`` a worker serves one lease; idle ones end after a while."""

    def __init__(self, max_workers: int, *, single_use: bool, idle_seconds: float) -> None:
        self.slots: list[Slot[W]] = []  # the least recently leased first
        self.requests: list[LeaseRequest[W]] = []  # those without a slot, in order of arrival
        self._max = max_workers
        self._single_use = single_use
        self._idle_seconds = idle_seconds
        self._by_key: dict[Hashable, Slot[W]] = {}

    def assign(self, now: float, *, fork_ahead: bool) -> PoolChanges[W]:
        """Bring slots and requests into order at the time ``now``; ``fork_ahead`` allows starting spare workers.

        Every change of state that follows from what was recorded is made here. First workers that are over leave:

        1. a worker that nobody leases is dead, worn out, or was idle for too long: it is killed.

        Then each request is looked at, in order of arrival:

        2. the worker of its key is leased to another request: it goes on waiting, and holds up nobody behind it;
        3. the worker of its key is idle: it gets that one;
        4. a spare worker is ready: it gets the one that was started first;
        5. a spare worker is being started: it will get that one;
        6. there is room for another process: one is started for it;
        7. there is no room, but the worker of another key is idle: the least recently leased one is killed, and a new
           process is started, because a worker never serves two keys;
        8. every process is in use: it waits, and so do all behind it.

        At last:

        9. a worker that was being started for a request is ready: the request gets it;
        10. there is room, and too few spare workers: one is started. One at a time, so that starting them never stands
            in the way of a request.
        """
        changes: PoolChanges[W] = PoolChanges()
        for slot in [slot for slot in self.slots if slot.idle and self._is_over(slot, now)]:
            self._remove(slot, changes)
        waiting: list[LeaseRequest[W]] = []
        for place, request in enumerate(self.requests):
            mine = self._by_key.get(request.key)
            if mine is not None and mine.request is not None:
                waiting.append(request)
                continue
            chosen = mine or self._spare() or self._make_room(changes)
            if chosen is None:
                waiting += self.requests[place:]
                break
            self._lease(chosen, request)
        self.requests = waiting
        for slot in self.slots:
            if slot.worker is not None and slot.request is not None and not slot.request.served:
                slot.request.served = True
                changes.serve.append((slot.request, slot.worker))
        spares = [slot for slot in self.slots if slot.key is None]
        if fork_ahead and not self._full and len(spares) < SPARES and all(slot.worker for slot in spares):
            changes.start.append(self._add())
        return changes

    # What happened; each is followed by ``assign``. ------------------------------------------------------------------

    def add(self, request: LeaseRequest[W]) -> None:
        """Record that somebody wants a worker."""
        self.requests.append(request)

    def release(self, request: LeaseRequest[W]) -> None:
        """Record that a lease ended, or that its caller gave up; a process still being started becomes a spare one."""
        slot = request.slot
        if slot is None:
            if request in self.requests:
                self.requests.remove(request)
        elif slot.request is request:
            slot.request = None
            if not request.served:
                self._forget_key(slot)
            elif self._single_use:
                slot.expired = True

    def started(self, slot: Slot[W], worker: W) -> None:
        """Record that the process of a slot runs."""
        slot.worker = worker

    def failed(self, slot: Slot[W]) -> LeaseRequest[W] | None:
        """Record that no process could be started for a slot; the request that was to get it."""
        request, slot.request = slot.request, None
        self._forget_key(slot)
        self.slots.remove(slot)
        return request

    def expire(self, key: Hashable) -> None:
        """Record that the worker of ``key`` must serve no further lease; one that is leased now is left alone."""
        slot = self._by_key.get(key)
        if slot is not None and slot.idle:
            slot.expired = True

    def expire_spares(self) -> None:
        """Record that the spare workers must serve nobody, those that are being started included."""
        for slot in self.slots:
            if slot.key is None:
                slot.expired = True

    # ----------------------------------------------------------------------------------------------------------------

    @property
    def _full(self) -> bool:
        return len(self.slots) >= self._max

    def _is_over(self, slot: Slot[W], now: float) -> bool:
        worker = slot.worker
        assert worker is not None
        if slot.expired or not worker.alive or worker.frames > MAX_LIFETIME_FRAMES:
            return True
        # Spare workers have served nobody: neither their age nor their idleness matters.
        is_spare = slot.key is None
        return not is_spare and (now - worker.born > MAX_LIFETIME_SECONDS or now - worker.used > self._idle_seconds)

    def _spare(self) -> Slot[W] | None:
        spares = [slot for slot in self.slots if slot.key is None and not slot.expired]
        return next((slot for slot in spares if slot.worker is not None), spares[0] if spares else None)

    def _make_room(self, changes: PoolChanges[W]) -> Slot[W] | None:
        """A new slot, of which the process is to be started; None if every process is in use."""
        if self._full:
            idle = next((slot for slot in self.slots if slot.idle), None)
            if idle is None:
                return None
            self._remove(idle, changes)
        slot = self._add()
        changes.start.append(slot)
        return slot

    def _lease(self, slot: Slot[W], request: LeaseRequest[W]) -> None:
        slot.key, slot.request, request.slot = request.key, request, slot
        self._by_key[request.key] = slot
        self.slots.remove(slot)
        self.slots.append(slot)

    def _add(self) -> Slot[W]:
        slot: Slot[W] = Slot()
        self.slots.append(slot)
        return slot

    def _remove(self, slot: Slot[W], changes: PoolChanges[W]) -> None:
        assert slot.worker is not None
        self._forget_key(slot)
        self.slots.remove(slot)
        changes.kill.append(slot.worker)

    def _forget_key(self, slot: Slot[W]) -> None:
        if slot.key is not None:
            self._by_key.pop(slot.key, None)
            slot.key = None
