"""The pool: warm workers, one experiment each, never more than so many, in the order in which they are asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.sandbox.host.channel import Worker
from app.sandbox.host.pool import Pool
from app.sandbox.host.reply_validation import read
from app.sandbox.host.zygote_client import Zygote
from app.sandbox.protocol import Done, Failed, Item, RunScript, encode
from tests.sandbox.attacks import forgery, scripts
from tests.sandbox.direct import MEMORY_MB, pool, run
from tests.servers import COUNTING, Server

SECONDS = 20


class Counting(Zygote):
    """A zygote that remembers whom it has forked."""

    def __init__(self) -> None:
        super().__init__(MEMORY_MB)
        self.workers: list[Worker] = []

    async def spawn(self) -> Worker:
        self.workers.append(await super().spawn())
        return self.workers[-1]

    @property
    def alive(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.alive]


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what other tasks of this loop bring about."""
    async with asyncio.timeout(SECONDS):
        while not happened():  # noqa: ASYNC110 - it ends in the kernel, which tells nobody
            await asyncio.sleep(0.005)


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def in_a_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run_it() -> None:
        asyncio.run(test())  # type: ignore[arg-type]

    run_it.__name__ = test.__name__
    run_it.__doc__ = test.__doc__
    return run_it


@in_a_loop
async def test_workers_are_forked_before_anybody_asks() -> None:
    source = Counting()
    async with pool(source, 8) as workers:
        await until(lambda: len(source.workers) == 3)
        ready = [worker.pid for worker in source.workers]

        async with workers.lease("a") as worker:
            assert worker.pid == ready[0]
        await until(lambda: len(source.workers) == 4)


@in_a_loop
async def test_there_are_never_more_than_may_be_and_the_least_recently_used_makes_room() -> None:
    source = Counting()
    async with pool(source, 2) as workers:
        pids = {}
        for key in ("a", "b", "a", "c"):
            async with workers.lease(key) as worker:
                assert pids.setdefault(key, worker.pid) == worker.pid
                assert len(source.alive) <= 2
        assert {worker.pid for worker in source.alive} == {pids["a"], pids["c"]}
        await until(lambda: not is_running(pids["b"]))


@in_a_loop
async def test_who_waits_for_a_place_is_served_in_order() -> None:
    source, order = Counting(), []

    async with pool(source, 1) as workers:

        async def take(key: str) -> None:
            async with workers.lease(key):
                order.append(key)

        async with workers.lease("first"):
            waiting = []
            for key in "abcde":
                waiting.append(asyncio.create_task(take(key)))
                await asyncio.sleep(0)
            waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order == ["a", "c", "d", "e"]
        assert len(source.alive) == 1


@in_a_loop
async def test_a_worker_used_once_is_not_used_again() -> None:
    source = Counting()
    async with pool(source, 4, single_use=True) as workers:
        pids = []
        for _ in range(5):
            async with workers.lease("a") as worker:
                pids.append(worker.pid)
        assert len(set(pids)) == 5
        await until(lambda: not any(map(is_running, pids)))


@in_a_loop
async def test_a_worker_that_nobody_uses_is_ended() -> None:
    async with pool(Counting(), 4, idle_seconds=0.1) as workers:
        async with workers.lease("a") as worker:
            pass
        await until(lambda: not worker.alive and not is_running(worker.pid))


@in_a_loop
async def test_bytes_that_nobody_asked_for_end_a_worker() -> None:
    later = forgery("twice").replace("\nanswer", "\nmodules['time'].sleep(0.1)\nanswer").replace("os._exit(0)", "")
    twice = scripts(later)["get_action"]
    source = Counting()
    async with pool(source) as workers:
        answer = await run(workers, twice, {"bystander": "x"}, key="a")
        assert isinstance(answer[0], Done)
        assert answer[0].result == {"x": 1}
        await until(lambda: len(source.alive) < len(source.workers))
        again = await run(workers, "self.action['x'] = 3", key="a")
        assert isinstance(again[0], Done)
        assert again[0].result == {"x": 3}


@in_a_loop
async def test_the_zygote_is_started_again_when_it_dies() -> None:
    source = Counting()
    async with pool(source) as workers:
        first = source.pid
        assert source._process is not None
        source._process.kill()
        answer = [await run(workers, "self.action['x'] = 1") for _ in range(3)]
        assert all(isinstance(each[0], Done) for each in answer)
        assert source.pid != first


@in_a_loop
async def test_a_request_that_is_given_up_harms_no_other() -> None:
    source = Counting()
    async with pool(source) as workers:
        zygote = source.pid
        for _ in range(5):
            given_up = asyncio.create_task(source.spawn())
            await asyncio.sleep(0)
            given_up.cancel()
            answer = await run(workers, "self.action['x'] = 1")
            assert isinstance(answer[0], Done)
        assert source.pid == zygote


@in_a_loop
async def test_a_caught_alarm_does_not_lengthen_the_time() -> None:
    tries = "try:\n    while True:\n        pass\nexcept BaseException:\n    self.action['x'] = 1"
    async with pool() as workers:
        items = [Item(0, 1, {}, {}, {})]
        frame = RunScript("e", "get_action", items, 0.05, programs={"e": {"get_action": tries}})
        async with workers.lease("a") as worker:
            outcome = (await read(await worker.request(encode(frame), SECONDS), items, {"e"}))[0]
        assert isinstance(outcome, Failed)
        assert outcome.message == "get_action ran longer than 0.05 s"


def test_single_use_over_http(start: Callable[..., Server]) -> None:
    server = start(**{"sandbox.single_use": True})
    with server.researcher() as researcher:
        hiding = researcher.create(get_action="self.action['there'] = hasattr(np, 'hidden')\nnp.hidden = 1")
        assert [hiding.get_action().json()["action"]["there"] for _ in range(5)] == [False] * 5
        learning = researcher.create(**COUNTING)
        items = [{"context": {}, "action": {"arm": "a"}, "reward": {}} for _ in range(20)]
        body = {"key": learning.key, "items": items}
        answer = researcher.http.post(f"/setreward/{learning.id}/batch", json=body)
        assert answer.json()["items"] == [{"status": "success"}] * 20
        assert learning.theta() == {"arm:a": {"n": 20}}


def test_a_spare_worker_that_was_forked_while_others_were_tended_is_not_lost() -> None:
    class Slow(Zygote):
        """Takes longer for a worker than there is between two rounds of tending."""

        def __init__(self) -> None:
            super().__init__(MEMORY_MB)
            self.spawned: list[Worker] = []
            self.enough = asyncio.Event()

        async def spawn(self) -> Worker:
            worker = await super().spawn()
            await asyncio.sleep(0.3)
            self.spawned.append(worker)
            if len(self.spawned) == 2:
                self.enough.set()
            return worker

    async def work() -> None:
        source = Slow()
        pool = Pool(source, 2, idle_seconds=0.05)
        await pool.start()
        await source.enough.wait()
        await asyncio.sleep(0.1)
        assert [slot.worker for slot in pool._assignment.slots] == source.spawned
        await pool.stop()

    asyncio.run(work())


@pytest.mark.slow
def test_ten_thousand_calls_leave_processes_descriptors_and_memory_as_they_were(start: Callable[..., Server]) -> None:
    server = start()  # of its own: on another one there may be processes of simulations
    items = [{"context": {}, "action": {"arm": "a"}, "reward": {}} for _ in range(10)]
    seen = []
    with server.researcher() as researcher:
        experiments = [researcher.create(**COUNTING) for _ in range(200)]
        for _ in range(5):
            for experiment in experiments:
                body = {"key": experiment.key, "items": items}
                answer = researcher.http.post(f"/setreward/{experiment.id}/batch", json=body)
                assert answer.json()["items"] == [{"status": "success"}] * 10
            seen.append(settled_usage(server.process.pid))
        assert all(experiment.theta() == {"arm:a": {"n": 50}} for experiment in experiments[::20])
    assert all(descriptors <= seen[0][1] + 5 for _, descriptors, _ in seen)
    assert seen[-1][2] <= seen[1][2] + 20
    print("\nprocesses, descriptors and MiB of the server after every 2,000 calls:", seen)


def settled_usage(pid: int) -> tuple[int, int, int]:
    """The same once those that were killed are gone: 32 workers, the server, the zygote, and its keeper of worlds."""
    end = time.monotonic() + SECONDS
    while (now := usage(pid))[0] > 32 + 3:
        assert time.monotonic() < end, now
        time.sleep(0.05)
    return now


def usage(pid: int) -> tuple[int, int, int]:
    """Processes of the server and under it; its open descriptors; its memory and its zygote's, in MiB."""
    family = [pid]
    for one in family:
        if (children := Path(f"/proc/{one}/task/{one}/children")).exists():
            family += map(int, children.read_text().split())
    descriptors = sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in family[:2])
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family[:2])
    return len(family), descriptors, pages * 4096 >> 20
