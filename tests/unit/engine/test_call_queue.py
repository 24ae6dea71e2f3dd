"""The queue of an experiment's calls: order, batches, bounds and deadlines, without a database or workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.domain.requests import ActionRequest, RewardRequest
from app.engine.batch import Batch
from app.engine.call_queue import CallQueue, QueueLimits
from app.engine.calls import ActionCall, AnyCall, RewardCall
from app.errors import OutcomeUnknown, Overloaded, StoreUnavailable

Work = Callable[[Batch[Any]], Awaitable[None]]


def queue(work: Work, *, calls: int = 1_000, size: int = 10**6, own: int = 1_000, batch: int = 4) -> CallQueue[AnyCall]:
    return CallQueue(work, QueueLimits(calls, size), own, batch)


def action(name: str, *, seconds: float = 60.0, size: int = 0, request_id: str | None = None) -> ActionCall:
    promise = asyncio.get_running_loop().create_future()
    return ActionCall(name, time.monotonic() + seconds, promise, ActionRequest({}, request_id, size))


def reward(name: str, advice_id: str | None = None) -> RewardCall:
    promise = asyncio.get_running_loop().create_future()
    return RewardCall(name, time.monotonic() + 60, promise, RewardRequest({}, advice_id=advice_id))


class Recorder:
    """Answers every call with its id and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def work(self, batch: Batch[Any]) -> None:
        self.batches.append([call.id for call in batch.calls])
        await asyncio.sleep(0)
        for call in batch.calls:
            batch.answer(call, call.id)


def batches_of(*calls: Callable[[], AnyCall], batch: int = 4) -> list[list[str]]:
    """What batches these calls make if they come at once."""

    async def story() -> list[list[str]]:
        recorder = Recorder()
        line = queue(recorder.work, batch=batch)
        made = [call() for call in calls]
        for call in made:
            line.add(call)
        assert [await call.promise for call in made] == [call.id for call in made]  # type: ignore[misc]
        await line.idle()
        assert not line.busy
        return recorder.batches

    return asyncio.run(story())


def test_calls_that_come_at_once_share_batches_in_their_order() -> None:
    assert batches_of(*[lambda n=n: action(str(n)) for n in range(6)]) == [["0", "1", "2", "3"], ["4", "5"]]


def test_a_batch_holds_one_kind_and_the_others_keep_their_order() -> None:
    made = [lambda: action("a"), lambda: reward("r"), lambda: action("b"), lambda: reward("s")]
    assert batches_of(*made) == [["a", "b"], ["r", "s"]]


def test_two_rewards_of_one_advice_or_calls_of_one_request_never_share_a_batch() -> None:
    assert batches_of(lambda: reward("1", "x"), lambda: reward("2", "x"), lambda: reward("3", "y")) == [
        ["1", "3"],
        ["2"],
    ]
    again = [lambda n=n: action(n, request_id="p") for n in "abc"]
    assert batches_of(*again, lambda: action("d")) == [["a", "d"], ["b"], ["c"]]


def test_what_is_put_back_comes_first_again_and_singly_where_one_kills_its_worker() -> None:
    async def story() -> None:
        seen: list[list[str]] = []

        async def work(batch: Batch[Any]) -> None:
            seen.append([call.id for call in batch.calls])
            if len(seen) == 1:
                line.add(action("late"))
                return batch.put_back(batch.calls, singly=True)
            for call in batch.calls:
                batch.answer(call, None)

        line = queue(work)
        for name in "abc":
            line.add(action(name))
        await line.idle()
        assert seen == [["a", "b", "c"], ["a"], ["b"], ["c"], ["late"]]

    asyncio.run(story())


def test_an_error_goes_to_the_calls_that_are_still_open() -> None:
    async def story() -> None:
        async def work(batch: Batch[Any]) -> None:
            first, second, _ = batch.calls
            batch.answer(first, 1)
            batch.remove(second)
            raise OutcomeUnknown()

        line, calls = queue(work), [action(name) for name in "abc"]
        for call in calls:
            line.add(call)
        await line.idle()
        assert calls[0].promise.result() == 1  # type: ignore[attr-defined]
        assert not calls[1].promise.done()
        assert isinstance(calls[2].promise.exception(), OutcomeUnknown)  # type: ignore[attr-defined]

    asyncio.run(story())


@pytest.mark.parametrize(("error", "told"), [(StoreUnavailable, StoreUnavailable), (ValueError, Overloaded)])
def test_calls_whose_time_is_over_are_not_run_and_hear_what_they_waited_for(
    error: type[Exception], told: type[Exception]
) -> None:
    async def story() -> None:
        async def work(batch: Batch[Any]) -> None:
            late.deadline = 0.0
            raise error()

        line = queue(work, batch=1)
        first, late = action("a"), action("b")
        line.add(first)
        line.add(late)
        await line.idle()
        assert isinstance(first.promise.exception(), error)  # type: ignore[attr-defined]
        assert isinstance(late.promise.exception(), told)  # type: ignore[attr-defined]

    asyncio.run(story())


def test_a_queue_is_bounded_by_its_own_calls_and_by_what_the_process_may_hold() -> None:
    async def story() -> None:
        for bounds, size in (({"own": 3}, 0), ({"calls": 3}, 0), ({"size": 3_600}, 1_000)):
            line = queue(Recorder().work, **bounds)  # type: ignore[arg-type]
            refused = 0
            for number in range(10):
                try:
                    line.add(action(str(number), size=size))
                except Overloaded:
                    refused += 1
            assert refused == 7, bounds
            await line.idle()
            line.add(action("again"))  # there is room again
            await line.idle()

    asyncio.run(story())


def test_one_queue_never_takes_the_last_room_of_the_process() -> None:
    async def story() -> None:
        limits = QueueLimits(100, 10**6)
        greedy: CallQueue[AnyCall] = CallQueue(Recorder().work, limits, 1_000, 4)
        modest: CallQueue[AnyCall] = CallQueue(Recorder().work, limits, 1_000, 4)
        added = 0
        try:
            while True:
                greedy.add(action(str(added)))
                added += 1
        except Overloaded:
            pass
        assert added == 90
        modest.add(action("m"))
        await greedy.idle()
        await modest.idle()

    asyncio.run(story())


def test_a_call_too_large_for_the_bounds_waits_alone() -> None:
    async def story() -> None:
        line = queue(Recorder().work, size=100)
        line.add(action("large", size=1_000))
        with pytest.raises(Overloaded):
            line.add(action("second", size=1_000))
        await line.idle()

    asyncio.run(story())


def test_an_outage_goes_on_for_calls_behind_one_that_had_no_time_left_to_see_it() -> None:
    async def story() -> None:
        async def outage(batch: Batch[Any]) -> None:
            await asyncio.sleep(max(0.0, batch.deadline - time.monotonic()))
            raise StoreUnavailable

        line = queue(outage, batch=1)
        made = [action("a", seconds=1.1), action("b", seconds=1.15), action("c", seconds=1.15)]
        for call in made:
            line.add(call)
        for call in made:
            with pytest.raises(StoreUnavailable):
                await call.promise  # type: ignore[misc]

    asyncio.run(story())
