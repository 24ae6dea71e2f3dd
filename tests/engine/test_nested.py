"""Nested experiments: one transaction over several heads, exact from several servers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.load import hammer, path
from tests.servers import COUNTING, Experiment, Researcher, Server

OUTER = {
    "get_action": (
        "inner = Experiment('{inner}')\n"
        "self.action['arm'] = inner.run_action_code(self.context)['arm']\n"
        "self.action['nested'] = True\n"
    ),
    "set_reward": (
        "inner = Experiment(exp_id='{inner}')\n"
        "inner.run_reward_code(self.context, self.action, self.reward)\n"
        "count = base.Count(self.get_theta('outer'))\n"
        "count.increment()\n"
        "self.set_theta(count, 'outer')\n"
        "self.log_data({{'inner': len(inner.get_theta())}})\n"
    ),
}


def outer_around(researcher: Researcher, inner: Experiment) -> Experiment:
    return researcher.create(**{name: script.format(inner=inner.id) for name, script in OUTER.items()})


def test_a_nested_experiment_decides_and_learns_inside_its_caller(researcher: Researcher) -> None:
    inner = researcher.create(**COUNTING)
    outer = outer_around(researcher, inner)
    action = outer.get_action(context={"x": 1}).json()["action"]
    assert action["nested"] is True
    assert outer.set_reward(context={}, action=action, reward={"value": 1}).json() == {"status": "success"}
    assert inner.theta() == {f"arm:{action['arm']}": {"n": 1}}
    assert outer.theta() == {"outer": {"n": 1}}
    assert inner.stats("actionlog") == inner.stats("rewardlog") == []
    assert inner.summary()["set_reward_calls"] == 0


def test_an_edit_of_the_inner_experiment_is_in_effect_in_its_caller(researcher: Researcher) -> None:
    inner = researcher.create("inner", **COUNTING)
    outer = outer_around(researcher, inner)
    assert outer.get_action().json()["action"]["arm"] in "ab"
    researcher.http.put(f"/exp/{inner.id}", json={"name": "inner", "get_action": "self.action['arm'] = 'z'"})

    def seen() -> bool:
        return bool(outer.get_action().json()["action"]["arm"] == "z")

    for _ in range(1000):
        if seen():
            break
    assert seen()
    outer.set_reward(context={}, action={"arm": "z"}, reward={})
    assert inner.theta() == {}


def test_another_owners_experiment_cannot_be_nested(researcher: Researcher, other: Researcher) -> None:
    foreign = other.create(**COUNTING)
    outer = outer_around(researcher, foreign)
    assert outer.get_action().status_code == 500
    assert outer.set_reward(context={}, action={"arm": "a"}, reward={}).status_code == 500
    assert foreign.theta() == {}
    assert "no experiment" in outer.wait_for("errors", rows=2)[0]["message"]


def test_experiments_that_call_each_other_stop_at_depth_five(researcher: Researcher) -> None:
    experiment = researcher.create("loop")
    script = f"self.action['depth'] = 1 + Experiment('{experiment.id}').run_action_code({{}})['depth']"
    researcher.http.put(f"/exp/{experiment.id}", json={"name": "loop", "get_action": script})
    assert experiment.get_action().status_code == 500
    assert "5 deep" in experiment.wait_for("errors")[0]["message"]


def test_if_the_caller_raises_nothing_of_the_inner_experiment_remains(researcher: Researcher) -> None:
    inner = researcher.create(**COUNTING)
    failing = OUTER["set_reward"].format(inner=inner.id) + "raise ValueError('after all')\n"
    outer = researcher.create(set_reward=failing)
    assert outer.set_reward(context={}, action={"arm": "a"}, reward={}).status_code == 500
    assert inner.theta() == outer.theta() == {}
    assert outer.stats("log") == []


@pytest.mark.parametrize("calls", [600, pytest.param(2500, marks=pytest.mark.slow)])
def test_outer_and_inner_hammered_at_once_on_two_servers_both_equal_their_logs(
    start: Callable[..., Server], database: Database[dict[str, Any]], calls: int
) -> None:
    servers = [start(), start()]
    urls = [server.url for server in servers]
    with servers[0].researcher() as researcher:
        inner = researcher.create(**COUNTING)
        outer = outer_around(researcher, inner)
        rng = random.Random(1)
        sent = [(rng.choice([inner, outer]), rng.choice("ab")) for _ in range(calls)]
        paths = [
            path("setreward", to.id, to.key, context={}, action={"arm": arm}, reward={"value": 1}) for to, arm in sent
        ]
        answers = hammer(urls, paths, clients=32)
        assert Counter(answer.status for answer in answers) == {200: calls}
        arms = Counter(arm for _, arm in sent)
        assert inner.theta() == {f"arm:{arm}": {"n": n} for arm, n in arms.items()}
        assert outer.theta() == {"outer": {"n": sum(to is outer for to, _ in sent)}}
    # Rewards of its own and updates by its caller share the inner experiment's order without a gap or a double.
    seqs = [
        row["seq"]
        for collection in ("rewards", "events")
        for row in database[collection].find({"exp_id": inner.id}, {"seq": 1})
    ]
    assert sorted(seqs) == list(range(1, calls + 1))
