"""The change stream of heads: what other servers did is seen soon, cheaply, and even where the stream is cut."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from app.domain.experiment import Experiment
from app.domain.requests import ActionRequest, RewardRequest
from app.engine.engine import Engine
from app.engine.limits import Limits
from app.errors import KeyRefused, StoreUnavailable
from app.sandbox.host.pool import Pool
from app.sandbox.host.zygote_client import Zygote
from app.storage.client import connect
from app.storage.embedded import EmbeddedMongo
from app.storage.head_stream import HeadChangeStream
from app.storage.store import Store
from tests.servers import COUNTING, Server

# Ten times what api.rst promises.
_SOON = 10.0
# So long that only the stream can tell of anything.
_DEAF = Limits(staleness_seconds=3_600.0)
SCRIPTS = COUNTING | {"get_action": "self.action['seen'] = self.get_theta('arm', 'a').get('n', 0)"}


class Wire(CommandListener):
    """Counts the reads of heads, and the portions of streams that were asked for."""

    def __init__(self) -> None:
        self.heads = 0
        self.portions = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.heads += event.command.get("find") == "heads"
        self.portions += event.command_name == "getMore"

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


class Pair:
    """Two engines, as of two servers; the second is the one that must hear of what the first does."""

    def __init__(self, store: Store, one: Engine, two: Engine, wire: Wire) -> None:
        self.store = store
        self.one = one
        self.two = two
        self.wire = wire
        self.experiment = Experiment(id="e", key="k", owner="o", name="n", created=datetime.now(UTC), **SCRIPTS)

    async def reward(self, running: Engine | None = None) -> None:
        live = await (running or self.one).get("e")
        await live.set_reward(RewardRequest({}, context={}, action={"arm": "a"}))

    async def edit(self, script: str) -> None:
        await self.store.experiments.replace(dataclasses.replace(self.experiment, get_action=script), "o")
        await self.one.invalidate("e")

    async def seen(self) -> Any:
        """What the second engine's getaction answers."""
        return (await (await self.two.get("e")).get_action(ActionRequest({}))).action["seen"]

    async def answers(self) -> bool:
        """Whether MongoDB is there for the second engine."""
        try:
            await self.seen()
        except StoreUnavailable:
            return False
        return True

    async def sees(self, wanted: Any) -> None:
        """Wait until it answers that, which it must do soon."""
        async with asyncio.timeout(_SOON):
            while await self.seen() != wanted:
                pass

    async def listens(self, after: float = 0.0) -> None:
        """Call the second engine until it follows a stream that was opened after that moment."""
        async with asyncio.timeout(60):
            while not after < self.two._watcher._since < float("inf"):
                await self.seen()
                await asyncio.sleep(0.01)

    async def rewarded(self) -> int:
        """What the theta itself says."""
        async for row in self.store.thetas.current("e", 1, "_theta"):
            return int((row.theta or {})["n"])
        return 0

    async def cut(self) -> int:
        """Kill the streams of this database on the side of MongoDB; how many there were."""
        admin = self.store.db.client.admin
        idle = await admin.aggregate(
            [{"$currentOp": {"idleCursors": True}}, {"$match": {"ns": f"{self.store.db.name}.heads"}}]
        )
        cursors = [row["cursor"]["cursorId"] async for row in idle if row.get("cursor", {}).get("tailable")]
        if cursors:
            await self.store.db.command({"killCursors": "heads", "cursors": cursors})
        return len(cursors)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what an engine does by itself."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def with_pair(uri: str, story: Callable[[Pair], Awaitable[None]], limits: Limits | None = None) -> None:
    """Tell the story of two engines over a database of their own."""
    name = f"test_{secrets.token_hex(4)}"

    @contextlib.asynccontextmanager
    async def server(pool: Pool, wire: Wire, limits: Limits) -> AsyncIterator[tuple[Store, Engine]]:
        store = Store(connect(uri, name, [wire]), HeadChangeStream(connect(uri, name, [wire], streams=True)))
        running = Engine(store, pool, limits)
        try:
            await store.prepare()
            yield store, running
        finally:
            await running.close()
            await store.db.client.drop_database(name)
            await store.close()

    async def tell() -> None:
        pool, wire = Pool(Zygote(512), 4), Wire()
        await pool.start()
        try:
            async with (
                server(pool, Wire(), Limits()) as (store, one),
                server(pool, wire, limits or Limits()) as (_, two),
            ):
                pair = Pair(store, one, two, wire)
                await store.experiments.insert(pair.experiment)
                await story(pair)
        finally:
            await pool.stop()

    asyncio.run(tell())


def test_rewards_edits_and_resets_of_one_server_are_heard_of_by_the_other(mongo: str) -> None:
    async def story(pair: Pair) -> None:
        assert await pair.seen() == 0
        await pair.listens()
        (await pair.two.get("e")).runtime.drop()  # what was read before the stream was there
        assert await pair.seen() == 0
        await pair.reward()
        await pair.sees(1)
        await pair.edit("self.action['seen'] = 'edited'")
        await pair.sees("edited")
        await pair.edit(SCRIPTS["get_action"])
        await pair.sees(1)
        await pair.store.experiments.reset("e", "o")
        await pair.sees(0)
        await pair.reward()
        await pair.sees(1)
        await pair.store.experiments.delete("e")
        with pytest.raises(KeyRefused):
            await pair.sees("anything")

    with_pair(mongo, story, _DEAF)


@pytest.mark.slow
def test_what_a_server_commits_itself_is_no_news(mongo: str) -> None:
    async def story(pair: Pair) -> None:
        await pair.listens()
        for number in range(1, 11):
            await pair.reward(pair.two)
            assert await pair.seen() == number
        view = (await pair.two.get("e")).runtime.view
        assert view is not None
        await until(lambda: pair.two._watcher._seqs.get("e") == 10)
        assert not pair.two._watcher.outdated(view)

    with_pair(mongo, story)


def test_heads_are_hardly_read_while_the_stream_gets_on(mongo: str) -> None:
    async def story(pair: Pair) -> None:
        await pair.listens()
        await pair.seen()
        before, began = pair.wire.heads, time.monotonic()
        while time.monotonic() - began < 2:
            await pair.seen()
        # Without a stream it would be one each half second; where the machine stands still for a while, it may be.
        assert pair.wire.heads - before < 3

    with_pair(mongo, story)


@pytest.mark.slow
def test_without_a_stream_heads_are_read_before_use(mongo: str) -> None:
    async def story(pair: Pair) -> None:
        for running in (pair.one, pair.two):
            running._watcher._source = None
        await pair.seen()
        await pair.reward()
        await pair.sees(1)
        await pair.edit("self.action['seen'] = 'edited'")
        await pair.sees("edited")
        assert pair.wire.portions == 0

    with_pair(mongo, story)


def test_a_stream_that_is_cut_is_replaced_and_nothing_is_lost_or_counted_twice(mongo: str) -> None:
    async def story(pair: Pair) -> None:
        await pair.listens()
        for number in range(1, 3):
            before = time.monotonic()
            while not await pair.cut():
                await pair.seen()  # between two streams
            await asyncio.gather(*(pair.reward(running) for running in [pair.one, pair.two] * 5))
            await pair.sees(10 * number)
            await pair.listens(after=before)
            await pair.sees(10 * number)
        await pair.reward()
        await pair.sees(21)
        assert await pair.rewarded() == 21

    with_pair(mongo, story)


@pytest.mark.slow
@pytest.mark.parametrize("away", ["killed", "in an election"])
def test_the_stream_comes_back_with_mongodb(own_mongo: EmbeddedMongo, away: str) -> None:
    async def story(pair: Pair) -> None:
        await pair.reward()
        await pair.listens()
        await pair.sees(1)
        before = 0.0
        if away == "killed":
            before = time.monotonic()
            os.kill(own_mongo.pid, signal.SIGKILL)
            while not await asyncio.to_thread(own_mongo.ensure):
                pass  # it is not quite dead yet
        else:  # which a stream may outlive
            with contextlib.suppress(AutoReconnect):
                await pair.store.db.client.admin.command("replSetStepDown", 1, force=True)
        async with asyncio.timeout(60):
            while not (await pair.answers() and before < pair.two._watcher._since < float("inf")):
                pass
        await pair.reward()
        await pair.sees(2)
        assert await pair.rewarded() == 2

    with_pair(own_mongo.uri, story)


@pytest.mark.slow
def test_a_server_that_nobody_calls_asks_for_no_news(mongo: str) -> None:
    async def story(pair: Pair) -> None:
        await pair.listens()
        await until(lambda: pair.two._watcher._task is None)
        portions = pair.wire.portions
        assert await pair.cut() == 0
        await asyncio.sleep(0.5)
        assert pair.wire.portions == portions
        await pair.reward()
        await pair.sees(1)
        await pair.listens()

    with_pair(mongo, story, Limits(listening_seconds=0.2))


@pytest.mark.slow
def test_news_of_very_many_experiments_take_no_more_room_and_lose_nothing(mongo: str) -> None:
    async def story(pair: Pair) -> None:
        await pair.listens()
        began = time.monotonic()
        for start in range(0, 30_000, 10_000):
            await pair.store.db.heads.insert_many([{"_id": f"x{start + n}", "seq": 0} for n in range(10_000)])
            await pair.seen()
        await pair.listens(after=began)
        assert len(pair.two._watcher._seqs) <= 20_000
        await pair.reward()
        await pair.sees(1)

    with_pair(mongo, story)


@pytest.mark.slow
def test_an_edit_by_way_of_one_server_is_in_effect_on_the_other(start: Callable[..., Server]) -> None:
    one, two = start(), start()
    with one.researcher() as researcher:
        experiment = researcher.create(get_action="self.action['edit'] = 0")
        elsewhere = two.client()
        for edit in range(1, 4):
            experiment.replace(get_action=f"self.action['edit'] = {edit}")
            assert experiment.get_action().json()["action"] == {"edit": edit}  # here at once
            began = time.monotonic()
            while elsewhere.get(f"/getaction/{experiment.id}?key={experiment.key}").json()["action"]["edit"] != edit:
                assert time.monotonic() - began < _SOON
        elsewhere.close()
