"""Theta is the fold of the accepted rewards in the order of their seqs, whatever happened at the same time.

The folds here don't commute, so that a reward that was applied to anything but the theta just before it shows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pymongo.database import Database

from tests.load import Answer, hammer, path
from tests.servers import Experiment, Researcher, Server

Rows = list[dict[str, Any]]
_PRIME = 1_000_003

# Each reads both thetas and writes one of them: two commits that overlap would not write the same document.
CROSSED = {
    "set_reward": """
a, b = self.get_theta("t", "a").get("x", 1), self.get_theta("t", "b").get("x", 2)
if self.action["writes"] == "a":
    self.set_theta({"x": (3 * a + 5 * b + self.reward["r"]) % 1000003}, "t", "a")
else:
    self.set_theta({"x": (7 * a + 2 * b + self.reward["r"]) % 1000003}, "t", "b")
"""
}
# Reads every theta of a name, then adds one: overlapping commits would not see each other's new documents.
GROWING = {
    "set_reward": """
seen = len(self.get_theta(name="people"))
self.set_theta({"seen": seen}, self.action["who"], "x", name="people")
self.set_theta({"last": seen}, "total", "t")
"""
}
# Reads what is there only for some users, then a theta that all share.
PERSONAL = {
    "get_action": "self.action['seen'] = self.get_theta('all', 'of them').get('x', 0)",
    "set_reward": """
mine = self.get_theta("user", self.action["user"]).get("n", 0)
if self.action.get("fails"):
    raise ValueError("as it was told to")
shared = self.get_theta("all", "of them").get("x", 1)
self.set_theta({"n": mine + 1}, "user", self.action["user"])
self.set_theta({"x": (31 * shared + self.reward["r"]) % 1000003}, "all", "of them")
""",
}


def replayed(rows: Iterable[dict[str, Any]]) -> int:
    """PERSONAL's shared theta."""
    x = 1
    for row in rows:
        x = (31 * x + row["reward"]["r"]) % _PRIME
    return x


def rows_of(database: Database[dict[str, Any]], experiment: Experiment) -> Rows:
    """The reward log in the order of commits; every accepted reward has its own place in it."""
    rows = list(database.rewards.find({"exp_id": experiment.id}).sort("seq", 1))
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    return rows


def rewards(experiment: Experiment, actions: list[dict[str, Any]]) -> list[str]:
    """A setreward for each action, each with a reward of its own."""
    return [
        path("setreward", experiment.id, experiment.key, action=action, reward={"r": number})
        for number, action in enumerate(actions)
    ]


def statuses(answers: Iterable[Answer]) -> set[int]:
    """Which statuses came."""
    return {answer.status for answer in answers}


def test_two_servers_that_read_both_thetas_and_write_one_never_miss_each_other(
    start: Callable[..., Server], database: Database[dict[str, Any]]
) -> None:
    one, two = start(), start()
    with one.researcher() as researcher:
        experiment = researcher.create(**CROSSED)
        draw = random.Random(1)
        actions = [{"writes": draw.choice("ab")} for _ in range(600)]
        assert statuses(hammer([one.url, two.url], rewards(experiment, actions), clients=16)) == {200}
        theta = experiment.theta()
    a, b = 1, 2
    for row in rows_of(database, experiment):
        if row["action"]["writes"] == "a":
            a = (3 * a + 5 * b + row["reward"]["r"]) % _PRIME
        else:
            b = (7 * a + 2 * b + row["reward"]["r"]) % _PRIME
    assert theta == {"t:a": {"x": a}, "t:b": {"x": b}}


def test_two_servers_that_read_a_range_and_add_to_it_see_no_phantoms(
    start: Callable[..., Server], database: Database[dict[str, Any]]
) -> None:
    one, two = start(), start()
    with one.researcher() as researcher:
        experiment = researcher.create(**GROWING)
        draw = random.Random(2)
        actions = [{"who": draw.randrange(80)} for _ in range(300)]
        assert statuses(hammer([one.url, two.url], rewards(experiment, actions), clients=16)) == {200}
        people, total = experiment.theta(name="people"), experiment.theta()
    expected: dict[str, int] = {}
    last = 0
    for row in rows_of(database, experiment):
        last = len(expected)
        expected[f"{row['action']['who']}:x"] = last
    assert {name: theta["seen"] for name, theta in people.items()} == expected
    assert total == {"total:t": {"last": last}}


def test_rewards_that_had_to_wait_for_their_theta_do_not_undo_those_that_had_not(
    researcher: Researcher, database: Database[dict[str, Any]]
) -> None:
    """In one batch some users are known to the worker and some must be fetched first."""
    experiment = researcher.create(**PERSONAL)
    draw = random.Random(3)
    actions = [{"user": draw.randrange(1, 40) if number % 2 else 0} for number in range(800)]
    assert statuses(hammer([str(researcher.http.base_url)], rewards(experiment, actions))) == {200}
    assert experiment.theta()["all:of them"] == {"x": replayed(rows_of(database, experiment))}


def test_failing_rewards_and_readers_at_the_same_time_lose_nothing(
    researcher: Researcher, database: Database[dict[str, Any]]
) -> None:
    """A failure costs the worker; whoever gets the next one must not see the theta from before the commit."""
    experiment = researcher.create(**PERSONAL)
    actions = [{"user": number % 7, "fails": number % 5 == 0} for number in range(600)]
    calls = rewards(experiment, actions)
    mixed = [call for each in calls for call in (each, path("getaction", experiment.id, experiment.key))]
    answers = hammer([str(researcher.http.base_url)], mixed, clients=32)
    assert statuses(answers) == {200, 500}
    rows = rows_of(database, experiment)
    assert [answer.status for answer in answers[::2]] == [500 if action["fails"] else 200 for action in actions]
    assert len(rows) == sum(not action["fails"] for action in actions)
    assert experiment.theta()["all:of them"] == {"x": replayed(rows)}


@pytest.mark.slow
def test_more_experiments_than_workers_lose_nothing(
    start: Callable[..., Server], database: Database[dict[str, Any]]
) -> None:
    """A worker may be taken from an experiment while its commit is under way."""
    server = start(**{"sandbox.max_workers": 2})
    with server.researcher() as researcher:
        experiments = [researcher.create(**PERSONAL) for _ in range(5)]
        calls = [
            call
            for number in range(120)
            for experiment in experiments
            for call in (
                path("setreward", experiment.id, experiment.key, action={"user": number % 7}, reward={"r": number}),
                path("getaction", experiment.id, experiment.key),
            )
        ]
        assert statuses(hammer([server.url], calls, clients=40)) == {200}
        for experiment in experiments:
            rows = rows_of(database, experiment)
            assert len(rows) == 120
            assert experiment.theta()["all:of them"] == {"x": replayed(rows)}


@pytest.mark.slow
def test_a_reward_that_was_answered_with_an_error_is_never_counted_after_all(
    start: Callable[..., Server], database: Database[dict[str, Any]]
) -> None:
    """Two servers conflict all the time; what failed in a batch must not be run again with the rest of it."""
    script = """
last = self.get_theta("t", "t").get("x", 0)
if (last + self.reward["r"]) % 3 == 0:
    raise ValueError("not this time")
self.set_theta({"x": (31 * last + self.reward["r"]) % 1000003}, "t", "t")
"""
    one, two = start(), start()
    with one.researcher() as researcher:
        experiment = researcher.create(set_reward=script)
        answers = hammer([one.url, two.url], rewards(experiment, [{}] * 400), clients=16)
        theta = experiment.theta()
    assert statuses(answers) == {200, 500}
    rows = rows_of(database, experiment)
    assert {row["reward"]["r"] for row in rows} == {r for r, answer in enumerate(answers) if answer.status == 200}
    x = 0
    for row in rows:
        assert (x + row["reward"]["r"]) % 3
        x = (31 * x + row["reward"]["r"]) % _PRIME
    assert theta == {"t:t": {"x": x}}


@pytest.mark.slow
def test_actions_that_learn_and_rewards_are_folded_together(
    start: Callable[..., Server], database: Database[dict[str, Any]]
) -> None:
    """get_action may write theta as well; its row and its event stand in the same order."""
    shared = 'x = self.get_theta("t", "t").get("x", 1)\n'
    one, two = start(), start()
    with one.researcher() as researcher:
        experiment = researcher.create(
            get_action=f'{shared}self.set_theta({{"x": (17 * x + 5) % 1000003}}, "t", "t")\nself.action["x"] = x',
            set_reward=f'{shared}self.set_theta({{"x": (31 * x + self.reward["r"]) % 1000003}}, "t", "t")',
        )
        calls = rewards(experiment, [{}] * 150)
        mixed = [call for each in calls for call in (each, path("getaction", experiment.id, experiment.key))]
        assert statuses(hammer([one.url, two.url], mixed, clients=16)) == {200}
        theta = experiment.theta()
    accepted = {row["seq"]: row for row in database.rewards.find({"exp_id": experiment.id})}
    learned = {row["seq"]: row["row"] for row in database.events.find({"exp_id": experiment.id})}
    decided = {row["_id"]: row for row in database.decisions.find({"exp_id": experiment.id})}
    x = 1
    for seq in range(1, 301):
        if seq in accepted:
            assert seq not in learned
            x = (31 * x + accepted[seq]["reward"]["r"]) % _PRIME
        else:
            assert decided[learned[seq]]["action"] == {"x": x}
            x = (17 * x + 5) % _PRIME
    assert theta == {"t:t": {"x": x}}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_servers_failures_misses_and_few_workers_together_lose_nothing(
    start: Callable[..., Server], database: Database[dict[str, Any]], seed: int
) -> None:
    servers = [start(**{"sandbox.max_workers": 2}) for _ in range(3)]
    draw = random.Random(seed)
    with servers[0].researcher() as researcher:
        experiments = [researcher.create(**PERSONAL) for _ in range(4)]
        calls = []
        for number in range(1_500):
            experiment = draw.choice(experiments)
            action = {"user": draw.randrange(60), "fails": draw.random() < 0.02}
            calls += rewards(experiment, [action]) if draw.random() < 0.7 else []
            calls.append(path("getaction", experiment.id, experiment.key, context={"number": number}))
        assert statuses(hammer([server.url for server in servers], calls, clients=48)) == {200, 500}
        for experiment in experiments:
            assert experiment.theta()["all:of them"] == {"x": replayed(rows_of(database, experiment))}


def test_a_script_mended_through_one_server_fails_no_more_on_the_other(start: Callable[..., Server]) -> None:
    """A batch that only fails commits nothing, so no head would tell it that its script is an old one."""
    one, two = start(), start()
    with one.researcher() as researcher:
        experiment = researcher.create(set_reward="raise ValueError('to be mended')")
        with two.client() as client:
            elsewhere = Experiment(client, experiment.id, experiment.key)
            assert elsewhere.set_reward(action={}, reward={}).status_code == 500
            assert experiment.replace(set_reward="self.set_theta({'n': 1})").status_code == 200
            mended = time.monotonic()
            while elsewhere.set_reward(action={}, reward={}).status_code != 200:
                assert time.monotonic() - mended < 10  # within a second, says the contract; tenfold slack


def test_an_experiment_deleted_through_one_server_is_gone_on_the_other(start: Callable[..., Server]) -> None:
    one, two = start(), start()
    with one.researcher() as researcher:
        experiment = researcher.create(**PERSONAL)
        with two.client() as client:
            elsewhere = Experiment(client, experiment.id, experiment.key)
            given: dict[str, Any] = {"action": {"user": 1}, "reward": {"r": 1}}
            assert elsewhere.set_reward(**given).status_code == 200
            assert elsewhere.get_action().status_code == 200
            assert researcher.http.delete(f"/exp/{experiment.id}").status_code == 200
            assert experiment.get_action().status_code == 401
            assert elsewhere.set_reward(**given).status_code == 401  # rewards never run on what is old
            deleted = time.monotonic()
            while elsewhere.get_action().status_code != 401:
                assert time.monotonic() - deleted < 10
