"""A call leaves its batch in exactly one way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.requests import ActionRequest
from app.engine.batch import Batch
from app.engine.calls import ActionCall


def made(count: int) -> tuple[Batch[ActionCall], list[ActionCall], list[tuple[list[ActionCall], bool]]]:
    loop = asyncio.get_running_loop()
    calls = [ActionCall(str(n), 10.0 + n, loop.create_future(), ActionRequest({})) for n in range(count)]
    returned: list[tuple[list[ActionCall], bool]] = []
    return Batch(calls, lambda back, singly: returned.append((back, singly))), calls, returned


def run(story: Any) -> None:
    asyncio.run(story())


def test_its_time_is_that_of_the_call_with_the_least() -> None:
    async def story() -> None:
        assert made(3)[0].deadline == 10.0

    run(story)


def test_answered_failed_removed_and_returned_calls_are_no_longer_open() -> None:
    async def story() -> None:
        batch, calls, returned = made(5)
        batch.answer(calls[0], "yes")
        batch.fail(calls[1], ValueError())
        batch.remove(calls[2])
        batch.put_back([calls[3]], singly=True)
        assert batch.calls == [calls[4]]
        assert returned == [([calls[3]], True)]
        batch.fail_all(KeyError())
        assert batch.calls == []
        kinds = [type(call.promise.exception()) for call in (calls[1], calls[4])]  # type: ignore[attr-defined]
        assert kinds == [ValueError, KeyError]
        assert [call.promise.done() for call in calls] == [True, True, False, False, True]

    run(story)


def test_nobody_can_answer_a_call_twice() -> None:
    async def story() -> None:
        batch, (call,), _ = made(1)
        batch.answer(call, 1)
        with pytest.raises(KeyError):
            batch.fail(call, ValueError())

    run(story)


def test_a_caller_who_is_gone_is_not_answered() -> None:
    async def story() -> None:
        batch, (call,), _ = made(1)
        call.promise.cancel()  # type: ignore[attr-defined]
        batch.answer(call, 1)
        assert call.promise.cancelled()  # type: ignore[attr-defined]

    run(story)
