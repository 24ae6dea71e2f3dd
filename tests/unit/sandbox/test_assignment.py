"""Which worker serves which request: every case of the pool's assignment, with workers that are plain objects."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count

import pytest

from app.sandbox.host.assignment import (
    MAX_LIFETIME_FRAMES,
    MAX_LIFETIME_SECONDS,
    SPARES,
    Assignment,
    LeaseRequest,
    PoolChanges,
    Slot,
)

_numbers = count()


@dataclass(eq=False)
class Process:
    """A worker as the assignment sees it."""

    born: float = 0.0
    used: float = 0.0
    frames: int = 0
    alive: bool = True
    number: int = field(default_factory=lambda: next(_numbers))


class Bench:
    """An assignment whose changes are carried out at once; processes become ready when ``ready`` is called."""

    def __init__(self, max_workers: int = 2, single_use: bool = False, fork_ahead: bool = False) -> None:
        self.pool: Assignment[Process] = Assignment(max_workers, single_use=single_use, idle_seconds=300)
        self.fork_ahead = fork_ahead
        self.now = 0.0
        self.starting: list[Slot[Process]] = []
        self.leases: dict[LeaseRequest[Process], Process] = {}
        self.killed: list[Process] = []

    def assign(self) -> PoolChanges[Process]:
        changes = self.pool.assign(self.now, fork_ahead=self.fork_ahead)
        for worker in changes.kill:
            worker.alive = False
        self.killed += changes.kill
        self.leases |= dict(changes.serve)
        self.starting += changes.start
        return changes

    def ask(self, key: str) -> LeaseRequest[Process]:
        request: LeaseRequest[Process] = LeaseRequest(key)
        self.pool.add(request)
        self.assign()
        return request

    def ready(self) -> Process:
        worker = Process(born=self.now, used=self.now)
        self.pool.started(self.starting.pop(0), worker)
        self.assign()
        return worker

    def lease(self, key: str) -> LeaseRequest[Process]:
        request = self.ask(key)
        while request not in self.leases:
            self.ready()
        return request

    def release(self, request: LeaseRequest[Process]) -> None:
        self.pool.release(request)
        self.leases.pop(request, None)
        self.assign()


def test_a_process_is_started_for_a_request_and_serves_its_key_again() -> None:
    bench = Bench()
    first = bench.ask("a")
    assert len(bench.starting) == 1
    assert bench.leases == {}
    worker = bench.ready()
    assert bench.leases == {first: worker}
    bench.release(first)
    assert bench.leases == {}
    again = bench.ask("a")
    assert bench.leases == {again: worker}
    assert bench.starting == bench.killed == []


def test_a_leased_key_waits_and_holds_up_nobody_behind_it() -> None:
    bench = Bench()
    first = bench.lease("a")
    second, other = bench.ask("a"), bench.lease("b")
    assert second not in bench.leases
    worker = bench.leases[first]
    bench.release(first)
    assert bench.leases[second] is worker
    assert other in bench.leases


def test_the_oldest_spare_is_taken_before_anything_is_started() -> None:
    bench = Bench(max_workers=8, fork_ahead=True)
    bench.assign()
    spares = []
    while bench.starting:
        assert len(bench.starting) == 1  # one at a time
        spares.append(bench.ready())
    assert len(spares) == SPARES
    assert bench.leases[bench.ask("a")] is spares[0]
    assert bench.leases[bench.ask("b")] is spares[1]
    assert len(bench.starting) == 1


def test_a_spare_that_is_being_started_goes_to_the_first_who_asks() -> None:
    bench = Bench(max_workers=1, fork_ahead=True)
    bench.assign()
    first, second = bench.ask("a"), bench.ask("b")
    assert len(bench.starting) == 1
    worker = bench.ready()
    assert bench.leases == {first: worker}
    assert second.slot is None


def test_the_least_recently_leased_idle_worker_makes_room() -> None:
    bench = Bench()
    workers = {}
    for key in ("a", "b", "a"):
        request = bench.lease(key)
        workers[key] = bench.leases[request]
        bench.release(request)
    bench.ask("c")
    assert bench.killed == [workers["b"]]
    assert len(bench.starting) == 1


def test_with_every_process_in_use_requests_wait_in_order() -> None:
    bench = Bench(max_workers=1)
    first = bench.lease("a")
    waiting = [bench.ask(key) for key in "bcab"]
    bench.release(waiting[1])  # gave up
    bench.release(first)
    served = []
    while bench.starting:
        bench.ready()
        (request,) = bench.leases
        served.append(request)
        bench.release(request)
    assert served == [waiting[0], waiting[2], waiting[3]]
    assert len(bench.killed) == 3


def test_who_came_first_gets_the_place_even_of_a_key_that_is_asked_for_again() -> None:
    bench = Bench(max_workers=1)
    first = bench.lease("a")
    other, again = bench.ask("b"), bench.ask("a")
    bench.release(first)
    assert bench.ready() is bench.leases[other]
    assert again not in bench.leases


def test_a_process_whose_caller_gave_up_becomes_a_spare() -> None:
    bench = Bench(max_workers=1)
    first = bench.ask("a")
    bench.release(first)
    worker = bench.ready()
    assert bench.leases == {}
    assert bench.leases[bench.ask("b")] is worker
    assert bench.killed == []


def test_a_process_that_cannot_be_started_is_the_failure_of_its_request_alone() -> None:
    bench = Bench(max_workers=1)
    first, second = bench.ask("a"), bench.ask("b")
    assert bench.pool.failed(bench.starting.pop()) is first
    bench.assign()
    assert bench.ready() is bench.leases[second]
    spare = Bench(fork_ahead=True)
    spare.assign()
    assert spare.pool.failed(spare.starting.pop()) is None


def test_with_single_use_no_worker_serves_twice() -> None:
    bench = Bench(single_use=True)
    first = bench.lease("a")
    worker = bench.leases[first]
    bench.release(first)
    assert bench.killed == [worker]


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        ({"alive": False}, False),
        ({"frames": MAX_LIFETIME_FRAMES + 1}, False),
        ({"frames": MAX_LIFETIME_FRAMES}, True),
        ({"born": -MAX_LIFETIME_SECONDS - 1}, False),
        ({"used": -301.0}, False),
        ({"used": -299.0}, True),
    ],
)
def test_a_worker_that_is_over_leaves_when_nobody_leases_it(change: dict[str, float], is_kept: bool) -> None:
    bench = Bench()
    request = bench.lease("a")
    worker = bench.leases[request]
    vars(worker).update(change)
    bench.assign()
    assert bench.killed == []  # its lease is respected
    bench.release(request)
    assert (bench.killed == []) is is_kept
    assert (bench.leases.get(bench.ask("a")) is worker) is is_kept


def test_a_spare_is_not_ended_for_its_age() -> None:
    bench = Bench(max_workers=1, fork_ahead=True)
    bench.assign()
    worker = bench.ready()
    bench.now = 10 * MAX_LIFETIME_SECONDS
    bench.assign()
    assert bench.killed == []
    assert bench.leases[bench.ask("a")] is worker


def test_an_expired_key_or_spare_serves_nobody_again() -> None:
    bench = Bench(max_workers=2, fork_ahead=True)
    request = bench.lease("a")
    spare = bench.ready()
    bench.pool.expire("a")
    bench.pool.expire("unknown")
    bench.pool.expire_spares()
    bench.assign()
    assert bench.killed == [spare]  # what is leased is left alone
    worker = bench.leases[request]
    bench.release(request)
    assert bench.killed == [spare]
    bench.pool.expire("a")
    bench.assign()
    assert bench.killed == [spare, worker]


def test_a_spare_that_is_being_started_when_spares_expire_serves_nobody() -> None:
    bench = Bench(max_workers=3, fork_ahead=True)
    bench.assign()
    (spare,) = bench.starting
    bench.pool.expire_spares()
    request = bench.ask("a")
    assert request.slot is not spare
    unwanted = bench.ready()
    assert bench.killed == [unwanted]
    assert spare not in bench.pool.slots
    worker = bench.ready()
    assert bench.leases == {request: worker}


@pytest.mark.parametrize("seed", range(200))
def test_in_any_order_of_events_the_rules_hold(seed: int) -> None:
    draw = random.Random(seed)
    limit = draw.randint(1, 4)
    bench = Bench(limit, single_use=draw.random() < 0.3, fork_ahead=draw.random() < 0.7)
    waiting: list[LeaseRequest[Process]] = []
    served_key: dict[Process, str] = {}
    for _ in range(300):
        event = draw.random()
        if event < 0.35:
            waiting.append(bench.ask(draw.choice("abcdefg")))
        elif event < 0.55 and bench.starting:
            bench.ready()
        elif event < 0.58 and bench.starting:
            bench.pool.failed(slot := bench.starting.pop(draw.randrange(len(bench.starting))))
            waiting = [request for request in waiting if request.slot is not slot]
            bench.assign()
        elif event < 0.85 and bench.leases:
            bench.release(draw.choice(list(bench.leases)))
        elif event < 0.9 and waiting:
            bench.release(waiting.pop(draw.randrange(len(waiting))))
        elif event < 0.93 and bench.leases:
            draw.choice(list(bench.leases.values())).alive = False
        elif event < 0.96:
            bench.pool.expire(draw.choice("abcdefg"))
            bench.assign()
        waiting = [request for request in waiting if request not in bench.leases]

        slots = bench.pool.slots
        assert len(slots) <= limit
        keys = [request.key for request in bench.leases]
        assert len(set(keys)) == len(keys), "two leases of one key"
        for request, worker in bench.leases.items():
            assert served_key.setdefault(worker, str(request.key)) == request.key, "one worker, two keys"
        leased = {slot.key for slot in slots if slot.request is not None}
        free = len(slots) < limit or any(slot.idle for slot in slots)
        assert not [one for one in waiting if one.slot is None and one.key not in leased and free], "somebody could run"
    for _ in range(1_000):  # and everybody is served in the end
        for request in list(bench.leases):
            bench.release(request)
        if bench.starting:
            bench.ready()
    assert [request for request in waiting if not request.served] == []
