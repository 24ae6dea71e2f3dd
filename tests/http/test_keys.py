"""Keys that MongoDB could not keep as they are come back as they were, wherever users may have them."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from pymongo.database import Database

from tests.servers import Experiment, Researcher
from tests.simulation.test_runs import begin, ended
from tests.simulation.test_simulate import simulate

KEYS = ["$5 off", "$", "$ref", "$id", "$$x", "a.b", ".", "nul\0", "\0", "%00", "$%00", "$where", ""]
DEEP: dict[str, Any] = {key: {"in": [{key: number}, {"$ref": "x", "$id": key}]} for number, key in enumerate(KEYS)}
ECHO = {
    "get_context": "self.context = {'$visitor': {'a.b': 1, 'nul\\0': [{'$id': 2, '$ref': 3}]}}",
    "get_action": "self.action = {'seen': self.context, 'theta': self.get_theta(), 'arm': '$5 off'}",
    "get_reward": "self.reward = {'value': 1, '$why': self.context}",
    "set_reward": (
        "self.set_theta({'all': [self.context, self.action['seen'], self.reward]})\nself.log_data(self.reward)"
    ),
}


@pytest.fixture
def experiment(researcher: Researcher) -> Experiment:
    return researcher.create(**ECHO)


def test_they_come_back_from_every_call_and_every_log(experiment: Experiment) -> None:
    action = experiment.get_action(context=DEEP).json()["action"]
    assert action == {"seen": DEEP, "theta": {}, "arm": "$5 off"}
    assert experiment.set_reward(context=DEEP, action=action, reward=DEEP).status_code == 200
    theta = {"all": [DEEP, DEEP, DEEP]}
    assert experiment.theta() == theta
    assert experiment.get_action(context=DEEP).json()["action"]["theta"] == theta

    (second, first) = experiment.stats("actionlog")
    assert (first["context"], first["action"]) == (DEEP, action)
    assert second["action"]["theta"] == theta
    (rewarded,) = experiment.stats("rewardlog")
    assert (rewarded["context"], rewarded["action"], rewarded["reward"]) == (DEEP, action, DEEP)
    (logged,) = experiment.stats("log")
    assert {key: value for key, value in logged.items() if key != "date"} == DEEP
    text = experiment.http.get(f"/stats/{experiment.id}/actionlog", params={"format": "csv"}).text
    assert "$5 off" in text
    assert len(list(csv.reader(text.splitlines()))) >= 3


def test_an_advice_and_a_default_reward_keep_them(researcher: Researcher) -> None:
    options = {"advice_id": True, "delta_hours": 1, "default_reward": {"$none": {"a.b": 0, "nul\0": 1}}}
    experiment = researcher.create(**ECHO, **options)
    stored = experiment.http.get(f"/exp/{experiment.id}").json()["default_reward"]
    assert json.loads(stored) == options["default_reward"]
    advice = experiment.get_action(context=DEEP).json()["advice_id"]
    assert experiment.set_reward(advice_id=advice, reward=DEEP).status_code == 200
    assert experiment.theta() == {"all": [DEEP, DEEP, DEEP]}


def test_thetas_are_named_by_any_text(researcher: Researcher) -> None:
    script = "for name in self.reward['names']:\n    self.set_theta({'n': 1}, key=name, value=name)"
    experiment = researcher.create(get_action="#", set_reward=script)
    names = [name for name in KEYS if ":" not in name]
    assert experiment.set_reward(action={}, reward={"names": names}).status_code == 200
    assert experiment.theta() == {f"{name}:{name}": {"n": 1} for name in names}


def test_a_policy_with_arms_that_begin_with_a_dollar_learns(researcher: Researcher) -> None:
    make = "policy = greedy.EpsilonGreedy(self.get_theta(), ['$5 off', '$10 off'], epsilon=0.1)\n"
    update = "policy.update(self.action['arm'], self.reward['value'], self.context)\nself.set_theta(policy)"
    experiment = researcher.create(
        get_context="self.context['cart'] = {'$USD': 1}",
        get_action=make + "self.action['arm'], self.action['propensity'] = policy.pull(self.context)",
        get_reward="self.reward['value'] = 1",
        set_reward=make + update,
    )
    for _ in range(4):
        action = experiment.get_action(context={"cart": {"$USD": 1}}).json()["action"]
        answer = experiment.set_reward(context={"cart": {"$USD": 1}}, action=action, reward={"value": 1})
        assert answer.status_code == 200
    assert sum(arm["n"] for arm in experiment.theta().values()) == 4
    run = ended(experiment, begin(experiment, n=50, seed=1, expected={"$5 off": 1, "$10 off": 1}, log_stats=True))
    assert run["status"] == "done", run
    assert set(run["arms"]) <= {"$5 off", "$10 off"}
    assert sum(arm["n"] for arm in run["theta"].values()) == 50
    (logged,) = experiment.stats("simulationlog")
    assert "$USD" in str(logged)


def test_simulations_keep_them_and_commit_them(experiment: Experiment) -> None:
    context = {"$visitor": {"a.b": 1, "nul\0": [{"$id": 2, "$ref": 3}]}}
    run = simulate(experiment, N=3, seed=1).json()
    assert run["data"]["0"]["context"] == context
    assert run["theta"] == {"all": [context, context, {"value": 1, "$why": context}]}
    committed = ended(experiment, begin(experiment, n=3, seed=1, commit=True))
    assert committed["theta"] == run["theta"] == experiment.theta()
    assert simulate(experiment, N=1, seed=1, start="current").json()["data"]["0"]["action"]["theta"] == run["theta"]


def test_what_was_stored_before_is_read_as_it_was(experiment: Experiment, database: Database[dict[str, Any]]) -> None:
    """Dots and per cent signs were stored as they are, and still are."""
    plain = {"a.b": {"100 %": 1, "%00": 2}}
    experiment.set_reward(context=plain, action={"seen": plain}, reward=plain)
    row = database.rewards.find_one({"exp_id": experiment.id})
    assert row is not None
    assert row["context"] == plain
    database.theta.update_one({"exp_id": experiment.id}, {"$set": {"theta": {"old.key": {"%25": 3}}}})
    experiment.replace(**ECHO)  # so that theta is read again
    assert experiment.theta() == {"old.key": {"%25": 3}}
    assert experiment.get_action(context={}).json()["action"]["theta"] == {"old.key": {"%25": 3}}
