"""Experiments that want all there is, workers, time and room in the queues, leave the others what they need."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

import pytest

from app.domain.requests import ActionRequest, RewardRequest
from app.engine.engine import LiveExperiment
from app.engine.limits import Limits
from app.errors import OutcomeUnknown, Overloaded, ScriptFailed, StoreUnavailable
from app.storage.store import Store
from tests.engine.engines import engine, live, with_a_store

LIMIT = 0.2
SLOW_SECONDS = 0.15
SLOW = f"import time\ntime.sleep({SLOW_SECONDS})\nself.action['arm'] = 'a'"
# A frame of slow calls ends with the one that is running when the time of one is over.
FRAME_SECONDS = LIMIT + SLOW_SECONDS
QUICK = {
    "get_action": "self.action['n'] = self.get_theta('n', 'n').get('n', 0)",
    "set_reward": "self.set_theta({'n': self.get_theta('n', 'n').get('n', 0) + 1}, 'n', 'n')",
}
_AGAIN_SECONDS = 0.5


@asynccontextmanager
async def saturated(slow: list[LiveExperiment], clients: int, size: int = 0) -> AsyncIterator[Counter[str]]:
    """Each of these has so many clients that never stop calling; how they were answered."""
    answers: Counter[str] = Counter()

    async def client(one: LiveExperiment) -> None:
        while True:
            try:
                with contextlib.suppress(ScriptFailed):  # on a busy machine a script may meet its limit
                    await one.get_action(ActionRequest({}, size=size))
                answers["answered"] += 1
            except (Overloaded, StoreUnavailable, OutcomeUnknown):  # or its turn came when its time was all but over
                answers["refused"] += 1
                await asyncio.sleep(_AGAIN_SECONDS)

    tasks = [asyncio.create_task(client(one)) for one in slow for _ in range(clients)]
    while any(not one.busy for one in slow):  # noqa: ASYNC110 - clients are tasks that have to begin
        await asyncio.sleep(0)
    try:
        yield answers
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for one in slow:  # nobody waits for what is left
            for call in one._actions._queue:
                call.deadline = 0.0
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def timed(one: LiveExperiment) -> float:
    """How long a getaction takes, which must be answered, and a setreward beside it."""
    began = time.monotonic()
    await asyncio.gather(one.get_action(ActionRequest({})), one.set_reward(RewardRequest({}, context={}, action={})))
    return time.monotonic() - began


def test_a_saturated_experiment_does_not_keep_another_waiting(mongo: str) -> None:
    async def story(store: Store) -> None:
        async with engine(store, Limits(call_seconds=LIMIT)) as running:
            quick, slow = await live(store, running, **QUICK), await live(store, running, get_action=SLOW)
            await timed(quick)
            async with saturated([slow], clients=4_000):
                took = [await timed(quick) for _ in range(20)]
            # Were they served by turns, each would wait for a frame.
            assert median(took) < FRAME_SECONDS
            assert max(took) < 10 * FRAME_SECONDS

    with_a_store(mongo, story)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_more_saturated_experiments_than_workers_take_turns_with_the_others(mongo: str, workers: int) -> None:
    async def story(store: Store) -> None:
        async with engine(store, Limits(call_seconds=LIMIT), workers) as running:
            quick = await live(store, running, **QUICK)
            slow = [await live(store, running, get_action=SLOW) for _ in range(3 * workers)]
            async with saturated(slow, clients=300) as answers:
                # In one round each of the others has a frame; the quick one's two calls may need two rounds.
                took = [await timed(quick) for _ in range(3)]
                assert max(took) < 10 * 2 * len(slow) / workers * FRAME_SECONDS
            assert answers["answered"]

    with_a_store(mongo, story)


@pytest.mark.parametrize("size", [pytest.param(0, marks=pytest.mark.slow), 100_000])
def test_full_queues_leave_room_for_those_who_have_none(mongo: str, size: int) -> None:
    """The queues of a few experiments could hold all that the process lets wait, by number or by bytes."""

    async def story(store: Store) -> None:
        limits = Limits(call_seconds=LIMIT, queue_calls=1_000, queue_bytes=8 * 2**20, batch_calls=8)
        async with engine(store, limits, workers=6) as running:
            quick = await live(store, running, **QUICK)
            slow = [await live(store, running, get_action=SLOW) for _ in range(4)]
            async with saturated(slow, clients=400, size=size) as answers:
                for _ in range(5):
                    await timed(quick)
                assert answers["refused"], "the queues were not full"

    with_a_store(mongo, story)


def test_the_turn_of_a_call_whose_time_is_over_is_given_to_the_next(mongo: str) -> None:
    """A queue that is longer than its calls may wait would else be worked off for nobody, and nobody be answered."""

    async def story(store: Store) -> None:
        async with engine(store, Limits(call_seconds=LIMIT, timeout_seconds=1, batch_calls=1)) as running:
            slow = await live(store, running, get_action=SLOW)
            began = time.monotonic()
            calls = [asyncio.create_task(slow.get_action(ActionRequest({}))) for _ in range(200)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert time.monotonic() - began < 200 * SLOW_SECONDS / 2  # it should take a thirtieth
            assert sum(isinstance(answer, Overloaded) for answer in answers) > 150

    with_a_store(mongo, story)
