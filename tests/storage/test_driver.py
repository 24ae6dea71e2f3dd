"""What the driver must do beside its commands."""

from __future__ import annotations

import asyncio

from pymongo import monitoring

from tests.storage.wire import Wire, opened


class _Cancelling(Wire):
    """Cancels a task some turns of the event loop after a command was handed over to be sent."""

    task: asyncio.Task[None] | None = None
    turns = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """A command is about to be sent."""
        if self.task is not None:
            self._wait(self.task, self.turns)
            self.task = None

    def _wait(self, task: asyncio.Task[None], turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._wait, task, turns - 1)
        else:
            task.cancel()


def test_a_task_that_is_cancelled_in_the_midst_of_a_command_ends(mongo: str, database_name: str) -> None:
    async def work() -> None:
        wire = _Cancelling()
        async with opened(mongo, database_name, wire) as store:

            async def beat() -> None:
                while True:
                    await store.ping()
                    await asyncio.sleep(0)

            for turns in [*range(12), *range(12)]:
                task = asyncio.create_task(beat())
                await asyncio.sleep(0.02)
                wire.turns, wire.task = turns, task
                done, _ = await asyncio.wait([task], timeout=10)
                assert done, f"it went on, cancelled after {turns} turns"

    asyncio.run(work())
