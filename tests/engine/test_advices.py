"""Advices that a server remembers: quicker, and never believed over the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.database import Database

from app.domain.decision import Decision
from app.engine.advices import Advices
from tests.servers import COUNTING, Experiment, Researcher, Server

ADVISED = {**COUNTING, "advice_id": True, "delta_hours": 24, "default_reward": {"value": 0}}
_DATE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def through(start: Callable[..., Server]) -> Iterator[tuple[Experiment, Experiment]]:
    """One experiment, called through two servers."""
    one, two = start(), start()
    with one.researcher() as researcher, two.client() as client:
        experiment = researcher.create(**ADVISED)
        yield experiment, Experiment(client, experiment.id, experiment.key)


def test_an_advice_that_another_server_settled_meanwhile_is_a_duplicate_or_refused(
    through: tuple[Experiment, Experiment], database: Database[dict[str, Any]]
) -> None:
    here, there = through
    advices = [here.get_action().json()["advice_id"] for _ in range(3)]
    for advice in advices:
        assert there.set_reward(advice_id=advice, reward={"value": 1}).json() == {"status": "success"}
    # In one batch with an advice that is still waiting, which must not suffer.
    waiting = here.get_action().json()["advice_id"]
    items = [
        {"advice_id": advices[0], "reward": {"value": 1}},
        {"advice_id": advices[1], "reward": {"value": 2}},
        {"advice_id": waiting, "reward": {"value": 1}},
    ]
    first, second, third = here.post("setreward", "batch", items=items).json()["items"]
    assert first == {"status": "success", "duplicate": True}
    assert second["error"]["code"] == 409
    assert third == {"status": "success"}
    assert here.set_reward(advice_id=advices[2], reward={"value": 1}).json() == {"status": "success", "duplicate": True}
    assert database.rewards.count_documents({"exp_id": here.id}) == 4
    assert sum(theta["n"] for theta in here.theta().values()) == 4


def test_an_advice_whose_script_failed_waits_on(researcher: Researcher) -> None:
    experiment = researcher.create(**{**ADVISED, "set_reward": "1 / self.reward['value']\n" + ADVISED["set_reward"]})
    advice = experiment.get_action().json()["advice_id"]
    assert experiment.set_reward(advice_id=advice, reward={"value": 0}).status_code == 500
    assert experiment.set_reward(advice_id=advice, reward={"value": 1}).json() == {"status": "success"}
    assert experiment.set_reward(advice_id=advice, reward={"value": 1}).json()["duplicate"]


def test_an_advice_of_another_experiment_is_unknown_even_where_it_is_remembered(researcher: Researcher) -> None:
    one, two = researcher.create(**ADVISED), researcher.create(**ADVISED)
    advice = one.get_action().json()["advice_id"]
    assert two.set_reward(advice_id=advice, reward={"value": 1}).status_code == 404
    assert one.set_reward(advice_id=advice, reward={"value": 1}).json() == {"status": "success"}


def test_the_oldest_make_room_and_each_is_given_once() -> None:
    advices = Advices(10_000)
    for number in range(10):
        advices.put(_decision(str(number)))
    there = advices.take("e", [str(number) for number in range(10)])
    assert list(there) == ["6", "7", "8", "9"]
    assert advices.take("e", list(there)) == {}
    for number in range(4):  # the room of those that were taken is free again
        advices.put(_decision(str(number)))
    assert len(advices.take("e", ["0", "1", "2", "3"])) == 4


def test_only_what_waits_for_a_reward_is_remembered() -> None:
    advices = Advices(10_000)
    advices.put(_decision("logged", status="logged"))
    advices.put(_decision("rewarded", status="rewarded"))
    assert advices.take("e", ["logged", "rewarded"]) == {}


def _decision(id: str, status: str = "pending") -> Decision:
    return Decision(id, "e", _DATE, {"c": 1}, {"a": 1}, None, revision=1, seq=0, epoch=1, status=status)
