"""What a server forgets and loads again: no worker that was told older things is ever asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.domain.experiment import Experiment
from app.domain.requests import ActionRequest, RewardRequest
from app.engine.engine import Engine
from app.engine.limits import Limits
from app.engine.view import View
from app.storage.client import connect, time_limit
from app.storage.store import Store
from tests.engine.engines import engine, live, with_a_store
from tests.load import hammer, path
from tests.proxy import Proxy
from tests.servers import COUNTING, Server

SLOW = COUNTING | {"get_action": "import time\ntime.sleep(0.2)\nself.get_theta('arm', 'a')\nself.action['arm'] = 'a'"}


async def reward(running: Engine, exp_id: str) -> None:
    live = await running.get(exp_id)
    await live.set_reward(RewardRequest({}, context={}, action={"arm": "a"}))


def with_two_engines(mongo: str, story: Callable[[Store, Engine, Engine, str], Awaitable[None]]) -> None:
    """Two engines in this process over one real database, as of two servers, and a counting experiment."""

    async def both(store: Store) -> None:
        made = Experiment(id="e", key="k", owner="o", name="n", created=datetime.now(UTC), **SLOW)
        await store.experiments.insert(made)
        async with engine(store, Limits()) as one, engine(store, Limits()) as two:
            await story(store, one, two, made.id)

    with_a_store(mongo, both)


def test_a_worker_that_was_busy_while_all_was_forgotten_is_not_asked_again(mongo: str) -> None:
    async def story(store: Store, one: Engine, two: Engine, exp_id: str) -> None:
        await reward(one, exp_id)
        live = await one.get(exp_id)
        asked = asyncio.create_task(live.get_action(ActionRequest({})))
        await asyncio.sleep(0.1)  # the script sleeps twice as long
        live.runtime.drop()
        await asked
        one._live.clear()  # as if it had had to make room for others
        await reward(two, exp_id)
        await reward(one, exp_id)
        (row,) = [row async for row in store.thetas.current(exp_id, 1, "_theta")]
        assert row.theta == {"n": 3}

    with_two_engines(mongo, story)


def test_an_edit_that_cannot_be_read_again_at_once_is_made_all_the_same(mongo: str) -> None:
    async def story(store: Store) -> None:
        async with Proxy(mongo) as proxy:
            through = Store(connect(proxy.uri, store.db.name))
            async with engine(through, Limits()) as running:
                one = await live(store, running, **COUNTING)
                await reward(running, one.runtime.exp_id)
                assert one.runtime.view is not None
                edited = replace(one.runtime.view.experiment, get_action="self.action['arm'] = 'edited'")
                await store.experiments.replace(edited, "o")
                proxy.dark = True
                proxy.cut()
                with time_limit(0.2):
                    await running.invalidate(one.runtime.exp_id)
                proxy.dark = False
                assert (await one.get_action(ActionRequest({}))).action == {"arm": "edited"}
            await through.close()

    with_a_store(mongo, story)


def test_nobody_runs_on_a_theta_that_is_newer_than_what_its_row_will_say(mongo: str) -> None:
    """Another server's theta is found just before a commit, and a getaction comes before the view is up to date."""
    counting = {
        "get_action": "self.action['n'] = self.get_theta().get('n', 0)",
        "set_reward": "self.set_theta({'n': self.get_theta().get('n', 0) + 1})",
    }

    async def story(store: Store) -> None:
        async with engine(store, Limits(staleness_seconds=60)) as here, engine(store, Limits()) as there:
            mine = await live(store, here, **counting)
            theirs = await there.get(mine.runtime.exp_id)
            await mine.get_action(ActionRequest({}))
            await theirs.set_reward(RewardRequest({}, context={}, action={}))
            refresh, refreshing, released = mine.runtime.refresh, asyncio.Event(), asyncio.Event()

            async def held_up() -> View:
                refreshing.set()
                await released.wait()
                return await refresh()

            mine.runtime.refresh = held_up  # type: ignore[method-assign]
            mine.runtime._watcher.outdated = lambda view: False  # type: ignore[method-assign]
            rewarding = asyncio.create_task(mine.set_reward(RewardRequest({}, context={}, action={})))
            await refreshing.wait()
            asked = asyncio.create_task(mine.get_action(ActionRequest({})))
            await asyncio.wait([asked], timeout=0.5)
            released.set()
            await asyncio.gather(rewarding, asked)
            rows = [row async for row in store.db.decisions.find({"exp_id": mine.runtime.exp_id})]
            assert [row["seq"] for row in rows] == [row["action"]["n"] for row in rows]

    with_a_store(mongo, story)


@pytest.mark.slow
def test_forgetting_at_any_moment_loses_no_reward(mongo: str) -> None:
    async def story(store: Store, one: Engine, two: Engine, exp_id: str) -> None:
        async def forget() -> None:
            for _ in range(30):
                await asyncio.sleep(0.05)
                (await one.get(exp_id)).runtime.drop()

        async with asyncio.timeout(60):
            await asyncio.gather(forget(), *(reward(running, exp_id) for running in [one, two] * 100))
        (row,) = [row async for row in store.thetas.current(exp_id, 1, "_theta")]
        assert row.theta == {"n": 200}

    with_two_engines(mongo, story)


def test_a_lane_that_another_woke_late_has_its_own_time(start: Callable[..., Server]) -> None:
    server = start(**{"mongodb.timeout_seconds": 2})
    learning = "count = base.Count(self.get_theta('n'))\ncount.increment()\nself.set_theta(count, 'n')\n"
    with server.researcher() as researcher:
        experiment = researcher.create(get_action=learning)
        paths = [path("getaction", experiment.id, experiment.key)] * 3000
        answers = hammer([server.url], paths, clients=32)
        assert {answer.status for answer in answers} == {200}
        assert experiment.theta() == {"n": {"n": 3000}}
