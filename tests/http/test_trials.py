"""POST try: one visit to be looked at, of scripts that may not be saved; nothing of it is kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.servers import COUNTING, Experiment, Researcher


def ask(experiment: Experiment, **body: Any) -> httpx.Response:
    return experiment.http.post(f"/exp/{experiment.id}/try", json=body)


def tried(experiment: Experiment, **body: Any) -> dict[str, Any]:
    answer = ask(experiment, **body)
    assert answer.status_code == 200, answer.text
    row: dict[str, Any] = answer.json()
    return row


def reward(experiment: Experiment, arm: str = "a") -> None:
    assert experiment.set_reward(action={"arm": arm}, reward={"value": 1}).status_code == 200


def kept(database: Any, exp_id: str) -> dict[str, Any]:
    """Everything in the database that is about an experiment."""
    found = {}
    for name in sorted(database.list_collection_names()):
        rows = list(database[name].find({"$or": [{"exp_id": exp_id}, {"_id": exp_id}]}).sort("_id", 1))
        found |= {name: rows} if rows else {}
    return found


@pytest.fixture
def experiment(researcher: Researcher) -> Experiment:
    return researcher.create(**COUNTING)


def test_a_visit_is_tried_in_two_steps(experiment: Experiment) -> None:
    reward(experiment)
    first = tried(experiment, context={"age": 7}, seed=3)
    assert first["context"] == {"age": 7}
    assert first["action"]["arm"] in ("a", "b")
    assert first["propensity"] == 0.5
    assert first["theta"]["before"] == first["theta"]["after"] == {"arm:a": {"n": 1}}
    assert first["theta"]["changes"] == []
    second = tried(experiment, advice_id=first["advice_id"], reward={"value": 1})
    assert [second[name] for name in ("context", "action", "reward", "seed")] == [
        {"age": 7}, first["action"], {"value": 1}, 3,
    ]  # fmt: skip
    arm = f"arm:{first['action']['arm']}"
    (change,) = second["theta"]["changes"]
    before = {"n": 1} if arm == "arm:a" else None
    assert change == {"theta": arm, "name": "_theta", "before": before, "after": {"n": 2 if before else 1}}
    assert second["theta"]["before"] == {"arm:a": {"n": 1}}
    assert second["theta"]["after"] == {"arm:a": {"n": 1}, arm: change["after"]}


def test_nothing_of_a_trial_is_kept_and_the_next_call_finds_what_was_so_before(
    experiment: Experiment, database: Any
) -> None:
    experiment.get_action()
    reward(experiment)
    scripts = {
        "get_action": "self.set_theta({'n': 100}, 'arm', 'a')\nself.log_data({'x': 1})\nself.action['arm'] = 'a'",
        "set_reward": COUNTING["set_reward"] + "self.log_data({'y': 2})",
    }
    before = kept(database, experiment.id)
    for start in ("current", "empty"):
        row = tried(experiment, scripts=scripts, reward={"value": 1}, start=start)
        assert row["theta"]["after"] == {"arm:a": {"n": 101}}
        assert [log["data"] for log in row["logs"]] == [{"x": 1}, {"y": 2}]
        assert tried(experiment, scripts={"get_action": "1 / 0"})["failed"]["line"] == 1
    assert kept(database, experiment.id) == before
    reward(experiment)
    assert experiment.theta() == {"arm:a": {"n": 2}}
    assert experiment.summary()["get_action_calls"] == 1


def test_what_get_action_writes_is_there_for_set_reward_even_in_a_later_call(experiment: Experiment) -> None:
    scripts = {"get_action": "self.set_theta({'n': 41}, 'arm', 'a')\nself.action['arm'] = 'a'"}
    first = tried(experiment, scripts=scripts)
    assert first["theta"]["changes"][0]["after"] == {"n": 41}
    second = tried(experiment, scripts=scripts, advice_id=first["advice_id"], reward={"value": 1})
    assert second["theta"]["changes"] == [
        {"theta": "arm:a", "name": "_theta", "before": None, "after": {"n": 42}},
    ]


def test_each_reward_for_one_decision_is_tried_on_the_theta_of_the_decision(experiment: Experiment) -> None:
    scripts = {"get_action": "self.set_theta({'n': 41}, 'arm', 'a')\nself.action['arm'] = 'a'"}
    row = tried(experiment, scripts=scripts, reward={"value": 1})
    assert row["done"] == ["get_action", "set_reward"]
    for _ in range(2):
        row = tried(experiment, scripts=scripts, advice_id=row["advice_id"], reward={"value": 1})
        assert row["theta"]["after"] == {"arm:a": {"n": 42}}


def test_a_decision_outlives_the_reward_that_failed_but_not_the_script_that_does_not_compile(
    experiment: Experiment,
) -> None:
    row = tried(experiment, scripts={"set_reward": "1 / 0"}, reward={"value": 1})
    assert (row["done"], row["failed"]["script"]) == (["get_action"], "set_reward")
    assert tried(experiment, advice_id=row["advice_id"], reward={"value": 1})["action"] == row["action"]
    row = tried(experiment, scripts={"set_reward": "1 /"}, reward={"value": 1})
    assert (row["done"], row["failed"]["script"], "advice_id" in row) == ([], "set_reward", False)


def test_what_was_written_is_found_among_all_values_of_its_key(researcher: Researcher) -> None:
    experiment = researcher.create(set_reward="for v in 'ab':\n    self.set_theta({'n': 1}, 'arm', v, name='other')")
    reward(experiment)
    scripts = {
        "get_action": "for v in 'bc':\n    self.set_theta({'n': 2}, 'arm', v, name='other')",
        "set_reward": "self.log_data(self.get_theta('arm', name='other'))",
    }
    row = tried(experiment, scripts=scripts, reward={})
    assert row["logs"] == [{"script": "set_reward", "data": {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 2}}}]
    assert [(change["theta"], change["before"]) for change in row["theta"]["changes"]] == [
        ("arm:b", {"n": 1}),
        ("arm:c", None),
    ]
    again = tried(experiment, scripts=scripts, advice_id=row["advice_id"], reward={}, start="empty")
    assert again["logs"][0]["data"] == {"b": {"n": 2}, "c": {"n": 2}}


def test_a_trial_starts_from_nothing_if_that_is_asked(experiment: Experiment) -> None:
    reward(experiment)
    row = tried(experiment, action={"arm": "a"}, reward={"value": 1}, start="empty")
    assert row["theta"]["before"] == {}
    assert row["theta"]["after"] == {"arm:a": {"n": 1}}


def test_the_same_seed_draws_the_same(experiment: Experiment) -> None:
    scripts = {"get_action": "self.action['x'] = [random.random(), float(np.random.rand())]"}
    one, same, other = (tried(experiment, scripts=scripts, seed=seed)["action"] for seed in (1, 1, 2))
    assert one == same != other


def test_the_scripts_that_imagine_the_world_propose_context_and_reward(experiment: Experiment) -> None:
    row = tried(experiment, run=["get_context", "get_action", "get_reward", "set_reward"])
    assert (row["context"], row["reward"]) == ({"number": 1}, {"value": 1})
    assert len(row["theta"]["changes"]) == 1
    assert tried(experiment, run=["get_context"])["context"] == {"number": 1}
    proposed = tried(experiment, run=["get_reward"], action={"arm": "b"})
    assert (proposed["reward"], proposed["theta"]["changes"]) == ({"value": 1}, [])


def test_what_a_script_shows_is_shown(experiment: Experiment) -> None:
    row = tried(experiment, scripts={"get_action": "self.debug('</script>')\nself.action['arm'] = 1"})
    assert row["debug"] == [{"script": "get_action", "value": "</script>"}]


def test_a_script_that_fails_is_told_with_its_line(experiment: Experiment) -> None:
    row = tried(experiment, scripts={"set_reward": "x = 1\n1 / 0  # here"}, action={}, reward={"value": 1})
    assert row["failed"] == {
        "script": "set_reward", "message": "ZeroDivisionError: division by zero", "line": 2, "column": None,
        "source": "1 / 0  # here",
    }  # fmt: skip
    row = tried(experiment, scripts={"get_action": "x = 1\ny = (("})
    assert (row["failed"]["line"], row["failed"]["column"], row["failed"]["source"]) == (2, 6, "y = ((")
    assert "advice_id" not in row
    assert experiment.stats("errors") == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("while True: pass", "ran longer than 0.5 s"),
        pytest.param("raise SystemExit", "SystemExit", marks=pytest.mark.slow),
        ("random._os._exit(1)", "ended the process"),
        pytest.param("x = [0] * 10**10", "MemoryError", marks=pytest.mark.slow),
        ("random._os.write(3, b'x' * 100)", "no script may give"),
        pytest.param("open('/etc/passwd')", "open", marks=pytest.mark.slow),
        ("self.action['x'] = float('nan')", "action"),
    ],
)
def test_a_hostile_script_harms_nobody(experiment: Experiment, other: Researcher, script: str, message: str) -> None:
    bystander = other.create(**COUNTING)
    bystander.get_action()
    row = tried(experiment, scripts={"get_action": script})
    assert message in row["failed"]["message"]
    assert row["action"] == {}
    for one in (experiment, bystander):
        assert one.get_action().status_code == 200


def test_nested_experiments_take_part_without_effect(researcher: Researcher, other: Researcher) -> None:
    inner = researcher.create(**COUNTING)
    reward(inner)
    scripts = {
        "get_action": f"inner = Experiment('{inner.id}')\ninner.set_theta({{'n': 5}}, 'arm', 'b')\n"
        "self.action = inner.run_action_code({})",
        "set_reward": f"Experiment('{inner.id}').run_reward_code(self.context, self.action, self.reward)",
    }
    outer = researcher.create(**scripts)
    first = tried(outer)
    second = tried(outer, advice_id=first["advice_id"], reward={"value": 1})
    counts = {"arm:a": {"n": 1}, "arm:b": {"n": 5}}
    arm = f"arm:{first['action']['arm']}"
    changes = {change["theta"]: change for change in second["theta"]["changes"]}
    assert changes[arm]["after"]["n"] == counts[arm]["n"] + 1
    assert {change["experiment"] for change in changes.values()} == {inner.id}
    assert second["theta"]["before"] == second["theta"]["after"] == {}
    assert inner.theta() == {"arm:a": {"n": 1}}
    stranger = other.create()
    assert "no experiment" in tried(stranger, scripts=scripts)["failed"]["message"]


def test_a_theta_too_large_to_show_is_shown_where_it_changes(researcher: Researcher) -> None:
    many = "for number in range(600):\n    self.set_theta({'n': number}, 'visitor', number)"
    experiment = researcher.create(set_reward=many)
    reward(experiment)
    one = {"set_reward": "self.set_theta({'n': -1}, 'visitor', 7)\nself.set_theta({'n': 8}, 'visitor', 8)"}
    theta = tried(experiment, scripts=one, action={}, reward={})["theta"]
    assert (theta["before"], theta["after"], theta["more_changes"]) == (None, None, 0)
    assert theta["changes"] == [
        {"theta": "visitor:7", "name": "_theta", "before": {"n": 7}, "after": {"n": -1}},
    ]
    theta = tried(experiment, action={}, reward={}, start="empty")["theta"]
    assert (theta["before"], theta["after"], len(theta["changes"]), theta["more_changes"]) == ({}, None, 500, 100)


@pytest.mark.slow
def test_trials_go_on_while_rewards_come_in(researcher: Researcher) -> None:
    experiment = researcher.create(
        set_reward="for arm in 'ab':\n    self.set_theta({'n': self.get_theta('arm', arm).get('n', 0) + 1}, 'arm', arm)"
    )
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            reward(experiment)

    with ThreadPoolExecutor(4) as senders:
        sending = [senders.submit(send) for _ in range(4)]
        try:
            trials = [tried(experiment, action={}, reward={})["theta"] for _ in range(30)]
        finally:
            over.set()
        for one in sending:
            one.result()
    for theta in trials:
        counts = {change["after"]["n"] for change in theta["changes"]}
        assert len(counts) == 1  # both arms as of the same moment
        assert {one["n"] for one in theta["after"].values()} == counts
    assert trials[-1]["before"]["arm:a"]["n"] > 30 or len({str(theta["before"]) for theta in trials}) > 1


def test_an_advice_that_was_forged_or_is_another_experiments_is_refused(
    researcher: Researcher, experiment: Experiment
) -> None:
    advice = tried(experiment)["advice_id"]
    elsewhere = tried(researcher.create(**COUNTING))["advice_id"]
    for wrong in (advice[:-1] + ("0" if advice[-1] != "0" else "1"), advice.replace("|", "", 1), elsewhere, "x", "é"):
        answer = ask(experiment, advice_id=wrong, reward={"value": 1})
        assert answer.status_code == 400, wrong
        assert answer.json()["error"]["detail"] == {"parameter": "advice_id"}
    assert experiment.set_reward(advice_id=advice, reward={"value": 1}).status_code == 400


def test_an_advice_of_a_trial_is_none_of_the_experiment(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING, advice_id=True, delta_hours=1, default_reward={"value": 0})
    trial = tried(experiment)["advice_id"]
    assert experiment.set_reward(advice_id=trial, reward={"value": 1}).status_code in (400, 404)
    live = experiment.get_action().json()["advice_id"]
    assert ask(experiment, advice_id=live, reward={"value": 1}).status_code == 400


def test_what_is_wrong_with_a_call_is_named(experiment: Experiment) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"context": []}, "context"),
        ({"action": "x"}, "action"),
        ({"action": {}, "reward": {"x": 2**64}}, "reward"),
        ({"run": []}, "run"),
        ({"run": ["rm"]}, "run"),
        ({"run": [["get_action"]]}, "run"),
        ({"run": ["set_reward"]}, "action"),
        ({"run": ["set_reward"], "action": {}}, "reward"),
        ({"seed": "x"}, "seed"),
        ({"start": "here"}, "start"),
        ({"start": ["current"]}, "start"),
        ({"scripts": {"get_action": 7}}, "get_action"),
        ({"scripts": {"get_action": "#" * 2**19}}, "get_action"),
        ({"scripts": "x"}, "scripts"),
        ({"advice_id": 7}, "advice_id"),
    ]
    for body, parameter in wrong:
        answer = ask(experiment, **body)
        assert (answer.status_code, answer.json()["error"]["detail"]) == (400, {"parameter": parameter}), body


def test_only_the_owner_may_try(experiment: Experiment, other: Researcher) -> None:
    foreign = other.http.post(f"/exp/{experiment.id}/try", json={})
    missing = other.http.post("/exp/nothing/try", json={})
    assert foreign.status_code == missing.status_code == 401
    assert foreign.text.replace(experiment.id, "nothing") == missing.text
    other.http.cookies.clear()
    assert other.http.post(f"/exp/{experiment.id}/try", json={}).status_code == 401
