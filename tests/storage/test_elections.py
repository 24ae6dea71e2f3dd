"""A new primary that does not know yet what its predecessor acknowledged: nobody is told how things were before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from app.domain.experiment import Experiment
from app.domain.theta import ThetaKey
from app.errors import OutcomeUnknown, StoreUnavailable
from app.storage.commits import Commit
from app.storage.embedded import EmbeddedMongo
from app.storage.heads import HeadMove
from app.storage.store import Store
from app.storage.thetas import ThetaWrite
from tests.replica_set import ReplicaSet
from tests.servers import COUNTING, Server, settings_for
from tests.storage.test_durability import decision_of, make_experiment
from tests.storage.wire import Wire, opened


async def until_answered(read: Callable[[], Any]) -> Any:
    """What it answers once MongoDB is back."""
    while True:
        try:
            return await read()
        except StoreUnavailable:
            await asyncio.sleep(0.05)


def levels(wire: Wire) -> list[str]:
    """The read concerns of the reads since the last time."""
    found = [command["readConcern"]["level"] for command in wire.named({"find"})]
    wire.commands.clear()
    return found


def test_after_each_election_the_first_read_waits_until_the_primary_has_caught_up(own_mongo: EmbeddedMongo) -> None:
    wire = Wire()

    async def work() -> None:
        async with opened(own_mongo.uri, "test", wire) as store:
            experiment = await make_experiment(store, "elections")
            wire.commands.clear()
            for _ in range(2):
                await store.decisions.find(experiment.id, ["one"])
            assert levels(wire) == ["linearizable", "majority", "majority"]
            await store.rewards.find(["one"])
            await store.thetas.find([ThetaKey(experiment.id, "_theta")], {experiment.id: 1})
            assert levels(wire) == ["majority", "majority"], "one election is caught up with once"
            before = store.decisions.elections.latest
            with MongoClient[dict[str, Any]](own_mongo.uri) as client:
                try:
                    client.admin.command("replSetStepDown", 1, force=True)
                except AutoReconnect:
                    pass
            await until_answered(lambda: store.decisions.find(experiment.id, ["one"]))
            assert store.decisions.elections.latest != before
            # A command that found no primary any more is repeated.
            assert levels(wire)[-2:] == ["linearizable", "majority"]
            await store.decisions.find(experiment.id, ["one"])
            assert levels(wire) == ["majority"]

    asyncio.run(work())


class Lag:
    """A member that has everything and is elected, but does not know what a majority has.

    Between an entry's coming and the news that a majority has it lie milliseconds; the fail point stretches them.
    """

    def __init__(self, members: ReplicaSet) -> None:
        self._members = members
        self.old, self.new = members.primary, members.secondaries[0]

    def begin(self) -> None:
        """From now on it learns nothing more."""
        self.new.fail_point("disableSnapshotting", True)

    def elect(self) -> None:
        """The primary dies, and this member follows."""
        self.old.kill()
        self._members.step_up(self.new)

    def end(self) -> None:
        """It learns everything."""
        self.new.fail_point("disableSnapshotting", False)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    with ReplicaSet(tmp_path_factory.mktemp("three")) as running:
        yield running


@pytest.fixture
def lag(members: ReplicaSet) -> Iterator[Lag]:
    lagging = Lag(members)
    yield lagging
    lagging.end()
    members.restart()


@pytest.mark.slow
def test_reads_do_not_go_back_in_time_across_an_election(members: ReplicaSet, lag: Lag) -> None:
    key, started = "key", time.monotonic()

    async def commit(store: Store, experiment: Experiment) -> None:
        head = (await store.heads.find([experiment.id]))[experiment.id]
        theta = ThetaWrite(ThetaKey(experiment.id, key), 1, head.seq + 1, {"n": head.seq + 1}, stored=head.seq > 0)
        decision = decision_of(experiment)
        await store.decisions.insert([decision], started + 60)
        await store.commits.write(Commit([HeadMove(head, 1)], thetas=[theta]), started + 60)

    async def read(store: Store, experiment: Experiment) -> tuple[int, Any]:
        thetas = await store.thetas.find([ThetaKey(experiment.id, key)], {experiment.id: 1})
        return (await store.heads.find([experiment.id]))[experiment.id].seq, thetas[0].theta

    async def work() -> None:
        async with opened(members.uri, "reads") as store:
            experiment = await make_experiment(store, "reads")
            await commit(store, experiment)
            lag.begin()
            for _ in range(3):
                await commit(store, experiment)
            assert await read(store, experiment) == (4, {"n": 4})
            await asyncio.to_thread(lag.elect)
            reading = asyncio.create_task(until_answered(lambda: read(store, experiment)))
            # Whoever does not wait for the primary to catch up reads the first theta within this time.
            await asyncio.wait([reading], timeout=1)
            assert not reading.done()
            await asyncio.to_thread(lag.end)
            assert await reading == (4, {"n": 4})

    asyncio.run(work())


@pytest.mark.slow
def test_a_row_that_perhaps_no_majority_has_is_not_said_to_be_kept_nor_to_be_lost(members: ReplicaSet) -> None:
    """Both decisions and request ids: each must not be taken back once anybody was told of it."""
    silent = {"failCommands": ["insert", "update"], "writeConcernError": {"code": 91, "errmsg": "going down"}}

    async def work() -> None:
        async with opened(members.uri, "rows") as store:
            experiment = await make_experiment(store, "rows")
            decision = decision_of(experiment)
            members.primary.fail_point("failCommand", True, silent)
            with pytest.raises(OutcomeUnknown):
                await store.decisions.insert([decision], time.monotonic() + 0.2)
            with pytest.raises(StoreUnavailable):
                await store.requests.claim(experiment.id, "getaction", {"request": decision.id})
            members.primary.fail_point("failCommand", False)
            await store.decisions.insert([decision], time.monotonic() + 60)
            assert list(await store.decisions.find(experiment.id, [decision.id])) == [decision.id]
            claimed = await store.requests.claim(experiment.id, "getaction", {"request": "another row"})
            assert claimed == {"request": decision.id}

    asyncio.run(work())


@pytest.mark.slow
def test_a_theta_from_before_an_election_is_not_taken_for_the_current_one(
    members: ReplicaSet, lag: Lag, tmp_path: Path
) -> None:
    """Two servers: what one of them learned must not be overwritten by the other, which has not held it yet."""
    settings = settings_for(members.uri, "overwritten") | {"mongodb.timeout_seconds": 3}
    with (
        Server(tmp_path / "one", settings) as one,
        Server(tmp_path / "two", settings) as two,
        one.researcher() as researcher,
        two.client() as elsewhere,
    ):
        mine = researcher.create(**COUNTING)
        theirs = type(mine)(elsewhere, mine.id, mine.key)
        assert mine.set_reward(action={"arm": "a"}, reward={}).status_code == 200
        lag.begin()
        for _ in range(4):
            assert mine.set_reward(action={"arm": "a"}, reward={}).status_code == 200
        # This server now knows where the head is, and of no theta but b's.
        assert theirs.set_reward(action={"arm": "b"}, reward={}).status_code == 200
        lag.elect()
        given_up = [theirs.set_reward(action={"arm": "a"}, reward={}).status_code]
        lag.end()
        while given_up[-1] != 200:
            given_up.append(theirs.set_reward(action={"arm": "a"}, reward={}).status_code)
        assert mine.theta()["arm:a"]["n"] + mine.theta()["arm:b"]["n"] == mine.summary()["set_reward_calls"]


@pytest.mark.slow
def test_an_advice_is_known_to_all_servers_right_after_an_election(
    members: ReplicaSet, lag: Lag, tmp_path: Path
) -> None:
    settings = settings_for(members.uri, "advices") | {"mongodb.timeout_seconds": 3}
    with (
        Server(tmp_path / "one", settings) as one,
        Server(tmp_path / "two", settings) as two,
        one.researcher() as researcher,
        two.client() as elsewhere,
    ):
        mine = researcher.create(**COUNTING, advice_id=True, delta_hours=24, default_reward={"value": 0})
        theirs = type(mine)(elsewhere, mine.id, mine.key)
        assert theirs.get_action().status_code == 200
        lag.begin()
        advice = mine.get_action().json()["advice_id"]
        lag.elect()
        answer = theirs.set_reward(advice_id=advice, reward={"value": 1})
        assert answer.status_code == 503, answer.text
        lag.end()
        while (answer := theirs.set_reward(advice_id=advice, reward={"value": 1})).status_code == 503:
            pass
        assert answer.json() == {"status": "success"}
