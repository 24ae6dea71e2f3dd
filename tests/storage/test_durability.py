"""What every write asks of MongoDB, seen on the wire: no URI can weaken it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest
from pymongo.errors import OperationFailure

from app.domain.decision import Decision, Reward
from app.domain.experiment import Experiment
from app.domain.ids import new_id
from app.domain.theta import ThetaKey
from app.storage.commits import Commit
from app.storage.heads import HeadMove
from app.storage.store import Store
from app.storage.thetas import ThetaWrite
from app.storage.transactions import Conflict
from tests.storage.wire import Wire, opened

WRITES = {"insert", "update", "delete", "findAndModify", "commitTransaction"}
READS = {"find", "aggregate", "count", "distinct"}
DURABLE = {"w": "majority", "j": True}
WEAK = "w=1&journal=false&readConcernLevel=local&readPreference=secondaryPreferred"


def experiment_of(owner: str) -> Experiment:
    """An experiment that gives advices."""
    return Experiment(
        id=new_id()[:12] + owner, key="key", owner=owner, created=datetime.now(UTC), name="one", advice_id=True
    )


def decision_of(experiment: Experiment) -> Decision:
    """A decision that waits for its reward."""
    return Decision(
        id=new_id(),
        exp_id=experiment.id,
        date=datetime.now(UTC),
        context={},
        action={},
        propensity=None,
        revision=1,
        seq=0,
        epoch=1,
        status="pending",
    )


def reward_for(decision: Decision, seq: int) -> Reward:
    """A reward for it."""
    return Reward(
        id=decision.id,
        exp_id=decision.exp_id,
        seq=seq,
        date=decision.date,
        context={},
        action={},
        reward={},
        revision=1,
        advice_id=decision.id,
    )


async def make_experiment(store: Store, owner: str) -> Experiment:
    """An experiment in the store."""
    experiment = experiment_of(owner)
    await store.experiments.insert(experiment)
    return experiment


def test_every_write_waits_for_the_journals_of_a_majority_whatever_the_uri_says(mongo: str, database_name: str) -> None:
    wire = Wire()

    async def work() -> None:
        async with opened(f"{mongo}&{WEAK}", database_name, wire) as store:
            experiment = await make_experiment(store, "durable")
            decision = decision_of(experiment)
            deadline = time.monotonic() + 60
            await store.decisions.insert([decision], deadline)
            head = (await store.heads.find([experiment.id]))[experiment.id]
            commit = Commit(
                moves=[HeadMove(head, 1, 1, decision.date)],
                claims={"rewarded": [decision.id]},
                rewards=[reward_for(decision, 1)],
                thetas=[ThetaWrite(ThetaKey(experiment.id, "_theta"), 1, 1, {"n": 1}, stored=False)],
            )
            await store.commits.write(commit, deadline)
            assert await store.settings.agree("durable", "yes")
            await store.decisions.find(experiment.id, [decision.id])
            await store.experiments.delete(experiment.id)

    asyncio.run(work())
    written = wire.named(WRITES)
    assert {"insert", "update", "findAndModify", "commitTransaction"} <= {command["name"] for command in written}
    for command in written:
        if command["name"] == "commitTransaction" or "txnNumber" not in command or "autocommit" not in command:
            assert command["writeConcern"] == DURABLE, command
        else:
            assert "writeConcern" not in command  # that of the commit holds for the whole transaction
    for command in wire.named(READS):
        level = command.get("readConcern", {}).get("level")
        assert level in ("majority", "linearizable") or "autocommit" in command, command
    starts = [command for command in wire.commands if command.get("startTransaction")]
    assert {command["readConcern"]["level"] for command in starts} == {"snapshot"}


def test_a_commit_from_an_old_place_of_the_head_leaves_nothing(mongo: str, database_name: str) -> None:
    async def work() -> None:
        async with opened(mongo, database_name) as store:
            experiment = await make_experiment(store, "old")
            first, second = decision_of(experiment), decision_of(experiment)
            deadline = time.monotonic() + 60
            await store.decisions.insert([first, second], deadline)
            head = (await store.heads.find([experiment.id]))[experiment.id]

            def commit(decision: Decision, seq: int) -> Commit:
                claims = {"rewarded": [decision.id]}
                return Commit([HeadMove(head, 1, 1)], claims, rewards=[reward_for(decision, seq)])

            await store.commits.write(commit(first, 1), deadline)
            with pytest.raises(Conflict):  # because of the head: the seq of its row is free
                await store.commits.write(commit(second, 2), deadline)
            states = await store.decisions.find(experiment.id, [first.id, second.id])
            assert [states[decision.id].status for decision in (first, second)] == ["rewarded", "pending"]
            assert list(await store.rewards.find([first.id, second.id])) == [first.id]

    asyncio.run(work())


@pytest.mark.parametrize("change", ["edited", "deleted"])
def test_an_edit_or_a_deletion_fences_what_is_under_way(mongo: str, database_name: str, change: str) -> None:
    async def work() -> None:
        async with opened(mongo, database_name) as store:
            experiment = await make_experiment(store, change)
            head = (await store.heads.find([experiment.id]))[experiment.id]
            if change == "edited":
                await store.experiments.replace(experiment, experiment.owner)
            else:
                await store.experiments.delete(experiment.id)
            theta = ThetaWrite(ThetaKey(experiment.id, "_theta"), head.epoch, 1, {"n": 1}, stored=False)
            with pytest.raises(Conflict):
                await store.commits.write(Commit([HeadMove(head, 1)], thetas=[theta]), time.monotonic() + 60)
            assert await store.thetas.find([theta.key], {experiment.id: head.epoch}) == []

    asyncio.run(work())


def test_a_claim_of_a_decision_that_is_taken_undoes_the_whole_commit(mongo: str, database_name: str) -> None:
    async def work() -> None:
        async with opened(mongo, database_name) as store:
            experiment = await make_experiment(store, "claims")
            free, taken = decision_of(experiment), decision_of(experiment)
            deadline = time.monotonic() + 60
            await store.decisions.insert([free, taken], deadline)
            await store.commits.write(Commit(claims={"rewarded": [taken.id]}), deadline)
            head = (await store.heads.find([experiment.id]))[experiment.id]
            both = Commit(
                [HeadMove(head, 2, 2)],
                {"rewarded": [free.id, taken.id]},
                rewards=[reward_for(free, 1), reward_for(taken, 2)],
            )
            with pytest.raises(Conflict):
                await store.commits.write(both, deadline)
            assert (await store.heads.find([experiment.id]))[experiment.id] == head
            assert await store.rewards.find([free.id, taken.id]) == {}

    asyncio.run(work())


def test_a_theta_that_is_there_against_what_the_commit_believes_is_a_conflict(mongo: str, database_name: str) -> None:
    """A duplicate key inside a transaction carries no label of its own."""

    async def work() -> None:
        async with opened(mongo, database_name) as store:
            experiment = await make_experiment(store, "believes")
            deadline = time.monotonic() + 60
            key = ThetaKey(experiment.id, "_theta", "k", "v")
            for stored in (True, False, False):
                head = (await store.heads.find([experiment.id]))[experiment.id]
                there = bool(await store.thetas.find([key], {experiment.id: 1}))
                commit = Commit([HeadMove(head, 1)], thetas=[ThetaWrite(key, 1, head.seq + 1, {"n": 1}, stored)])
                if stored == there:
                    await store.commits.write(commit, deadline)
                else:
                    with pytest.raises(Conflict):
                        await store.commits.write(commit, deadline)

    asyncio.run(work())


def test_an_insert_of_decisions_may_be_repeated(mongo: str, database_name: str) -> None:
    async def work() -> None:
        async with opened(mongo, database_name) as store:
            experiment = await make_experiment(store, "repeated")
            rows = [decision_of(experiment) for _ in range(3)]
            deadline = time.monotonic() + 60
            await store.decisions.insert(rows[:2], deadline)
            await store.decisions.insert(rows, deadline)
            assert len(await store.decisions.find(experiment.id, [row.id for row in rows])) == 3

    asyncio.run(work())


def test_what_mongodb_refuses_is_not_taken_for_an_outage(mongo: str, database_name: str) -> None:
    async def work() -> None:
        async with opened(mongo, database_name) as store:
            with pytest.raises(OperationFailure):
                await store.db.command("noSuchCommand")

    asyncio.run(work())
