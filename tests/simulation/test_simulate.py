"""GET and POST simulate: what they answer, what they refuse, and what they leave alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.experiment import SCRIPTS
from tests.servers import COUNTING, Experiment, Researcher, Server

# Learns which of two buttons is clicked more often, and shows all that a draw may use: context, both generators, theta.
BUTTONS = {
    "get_context": "self.context['age'] = int(np.random.randint(20, 60))",
    "get_action": (
        "means = {arm: base.Mean(self.get_theta('arm', arm)).get_value() for arm in 'ab'}\n"
        "greedy = random.random() > 0.2\n"
        "self.action['arm'] = max(means, key=means.get) if greedy else random.choice('ab')\n"
        "self.action['noise'] = np.exp(np.random.normal(size=2)) @ np.random.normal(size=(2, 2))\n"
    ),
    "get_reward": "self.reward['value'] = int(np.random.rand() < {'a': 0.3, 'b': 0.6}[self.action['arm']])",
    "set_reward": (
        "mean = base.Mean(self.get_theta('arm', self.action['arm']))\n"
        "mean.update(self.reward['value'])\n"
        "self.set_theta(mean, 'arm', self.action['arm'])\n"
    ),
}

SLOW = BUTTONS | {"get_reward": BUTTONS["get_reward"] + "\nimport time\ntime.sleep(0.01)"}


def simulate(experiment: Experiment, **parameters: Any) -> httpx.Response:
    return experiment.http.get(f"/eval/{experiment.id}/simulate", params=parameters)


@pytest.fixture
def experiment(researcher: Researcher) -> Experiment:
    return researcher.create(**BUTTONS)


def test_a_simulation_shows_every_draw_and_the_theta_it_left(experiment: Experiment) -> None:
    answer = simulate(experiment, N=50, seed=10)
    assert answer.status_code == 200
    run = answer.json()
    assert (run["simulate"], run["experiment"], run["seed"]) == ("success", experiment.id, 10)
    assert list(run["data"]) == [str(number) for number in range(50)]
    draws = list(run["data"].values())
    assert draws[0].keys() == {"context", "action", "reward", "theta"}
    assert draws[0]["theta"] == {f"arm:{draws[0]['action']['arm']}": {"n": 1, "m": draws[0]["reward"]["value"]}}
    assert draws[-1]["theta"] == run["theta"]
    assert sum(theta["n"] for theta in run["theta"].values()) == 50


def test_without_verbose_there_are_no_draws(experiment: Experiment) -> None:
    quiet = simulate(experiment, N=50, seed=10, verbose="False").json()
    assert "data" not in quiet
    assert quiet["theta"] == simulate(experiment, N=50, seed=10).json()["theta"]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(experiment: Experiment) -> None:
    first = simulate(experiment, N=300, seed=7)
    assert simulate(experiment, N=300, seed=7).content == first.content
    assert simulate(experiment, N=300, seed=8).json()["data"] != first.json()["data"]
    longer = simulate(experiment, N=400, seed=7).json()["data"]
    assert first.json()["data"].items() <= longer.items()


def test_a_seed_is_drawn_and_told_where_none_is_given(experiment: Experiment) -> None:
    run = simulate(experiment, N=20).json()
    assert simulate(experiment, N=20, seed=run["seed"]).json() == run


def test_the_order_of_sets_and_of_hashes_is_the_same_in_every_run(researcher: Researcher) -> None:
    action = "self.action['arm'] = list({'x', 'y', 'z', 'w'})[0]\nself.action['hash'] = hash('text')"
    experiment = researcher.create(**(COUNTING | {"get_action": action}))
    assert simulate(experiment, N=3, seed=1).content == simulate(experiment, N=3, seed=1).content


def test_live_theta_is_never_touched_and_no_row_is_logged(experiment: Experiment) -> None:
    experiment.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
    before = experiment.theta()
    simulate(experiment, N=200)
    simulate(experiment, N=200, start="current")
    assert experiment.theta() == before
    assert len(experiment.stats("rewardlog")) == 1
    assert experiment.stats("actionlog") == experiment.stats("simulationlog") == []


def test_a_simulation_starts_from_nothing_or_from_a_copy_of_live_theta(experiment: Experiment) -> None:
    for _ in range(5):
        experiment.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
    count = {start: simulate(experiment, N=10, start=start).json()["theta"] for start in ("empty", "current")}
    assert sum(theta["n"] for theta in count["empty"].values()) == 10
    assert sum(theta["n"] for theta in count["current"].values()) == 15


def test_a_simulation_does_what_the_live_calls_would_do(researcher: Researcher) -> None:
    """Each script gets what the one before left, as JSON, and its own copy."""
    scripts = {
        "get_context": "self.context['points'] = (1, np.float64(2))",
        "get_action": "self.context['points'].append(3)\nself.action.update({'arm': 'x', 1: {'a': np.arange(2)}})",
        "get_reward": "self.action['1']['a'].append(9)\nself.reward['value'] = len(self.context['points'])",
        "set_reward": "self.set_theta({'seen': [self.context, self.action, self.reward]}, 'last')",
    }
    experiment = researcher.create(**scripts)
    draw = simulate(experiment, N=1).json()["data"]["0"]
    assert draw["theta"] == {"last": {"seen": [draw["context"], draw["action"], draw["reward"]]}}
    assert draw["context"] == {"points": [1, 2.0]}
    assert draw["action"] == {"arm": "x", "1": {"a": [0, 1]}}
    assert draw["reward"] == {"value": 2}


@pytest.mark.parametrize("n", ["0", "-1", "10000001", "x", "1.5", "1e3", "99999999999999999999999"])
def test_a_number_of_draws_out_of_bounds_is_refused(experiment: Experiment, n: str) -> None:
    answer = simulate(experiment, N=n)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"] == {"parameter": "N"}


@pytest.mark.parametrize(
    ("name", "value"), [("seed", "x"), ("start", "live"), ("verbose", "perhaps"), ("log_stats", "2"), ("commit", "x")]
)
def test_other_parameters_out_of_bounds_are_named(experiment: Experiment, name: str, value: str) -> None:
    answer = simulate(experiment, **{name: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"] == {"parameter": name}


@pytest.mark.parametrize("script", ["get_action", "get_reward", "set_reward"])
def test_an_empty_script_that_is_needed_is_named(researcher: Researcher, script: str) -> None:
    experiment = researcher.create(**(BUTTONS | {script: " \n"}))
    answer = simulate(experiment, N=1)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"]["script"] == script


def test_a_visitor_without_properties_needs_no_get_context(researcher: Researcher) -> None:
    experiment = researcher.create(**(BUTTONS | {"get_context": ""}))
    assert simulate(experiment, N=1).json()["data"]["0"]["context"] == {}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_failing_draw_is_named_with_script_line_and_message(researcher: Researcher, script: str) -> None:
    failing = f"{BUTTONS[script]}\nif sum(t['n'] for t in self.get_theta('arm').values()) >= 40:\n    1 / 0\n"
    experiment = researcher.create(**(BUTTONS | {script: failing}))
    answer = simulate(experiment, N=1000, seed=3)
    assert answer.status_code == 500
    detail = answer.json()["error"]["detail"]
    # set_reward sees what it has just written itself.
    draw = 39 if script == "set_reward" else 40
    assert (detail["draw"], detail["script"], detail["message"]) == (
        draw,
        script,
        "ZeroDivisionError: division by zero",
    )
    assert detail["source"] == "1 / 0"
    assert detail["line"] == failing.splitlines().index("    1 / 0") + 1


@pytest.mark.parametrize(
    ("loop", "message"),
    [
        ("while True: pass", "get_action ran longer than 0.5 s"),
        (
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
            "get_action ran longer than",
        ),
        pytest.param("sum(range(10 ** 12))", "had to be killed", marks=pytest.mark.slow),
        ("import time\ntime.sleep(1000)", "get_action ran longer than 0.5 s"),
        ("[0] * 10 ** 12", "MemoryError"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_script_that_does_not_end_well_is_stopped(researcher: Researcher, loop: str, message: str) -> None:
    script = BUTTONS["get_action"] + f"if len(self.get_theta('arm')) == 2:\n    exec({loop!r})\n"
    experiment = researcher.create(**(BUTTONS | {"get_action": script}))
    answer = simulate(experiment, N=1000, seed=1)
    assert answer.status_code == 500
    assert message in answer.json()["error"]["detail"]["message"]
    assert simulate(researcher.create(**BUTTONS), N=1).status_code == 200


def test_only_the_owner_may_simulate(experiment: Experiment, other: Researcher) -> None:
    for path in ("simulate", "simulations", "simulations/x"):
        foreign = other.http.get(f"/eval/{experiment.id}/{path}")
        missing = other.http.get(f"/eval/nothing/{path}")
        assert (foreign.status_code, missing.status_code) == (401, 401)
    assert other.http.post(f"/eval/{experiment.id}/simulate", json={"commit": True}).status_code == 401
    assert other.http.post(f"/eval/{experiment.id}/simulations", json={"n": 1}).status_code == 401
    assert other.http.delete(f"/eval/{experiment.id}/simulations/x").status_code == 401
    other.http.cookies.clear()
    assert other.http.get(f"/eval/{experiment.id}/simulate").status_code == 401


def test_another_owners_experiment_cannot_be_simulated_from_within_a_script(
    researcher: Researcher, other: Researcher
) -> None:
    foreign = other.create(**COUNTING)
    foreign.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
    nested = f"self.action['arm'] = str(Experiment('{foreign.id}').get_theta())"
    answer = simulate(researcher.create(**(BUTTONS | {"get_action": nested})), N=1, start="current")
    assert answer.status_code == 500
    assert "no experiment" in answer.json()["error"]["detail"]["message"]


@pytest.mark.parametrize(("start", "count"), [("empty", 30), ("current", 33)])
def test_nested_experiments_are_simulated_with_their_callers(researcher: Researcher, start: str, count: int) -> None:
    inner = researcher.create(**COUNTING)
    for _ in range(3):
        inner.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
    outer = researcher.create(
        get_action=f"self.action['arm'] = Experiment('{inner.id}').run_action_code(self.context)['arm']",
        get_reward="self.reward['value'] = 1",
        set_reward=(
            f"inner = Experiment('{inner.id}')\n"
            "inner.run_reward_code(self.context, self.action, self.reward)\n"
            "self.set_theta({'n': sum(t['n'] for t in inner.get_theta('arm').values())})\n"
        ),
    )
    first = simulate(outer, N=30, seed=2, start=start)
    assert first.json()["theta"] == {"n": count}
    assert simulate(outer, N=30, seed=2, start=start).content == first.content
    assert inner.theta() == {"arm:a": {"n": 3}}


def test_committing_needs_a_post(experiment: Experiment) -> None:
    answer = simulate(experiment, N=5, commit="True")
    assert answer.status_code == 405
    assert experiment.theta() == {}


@pytest.mark.parametrize("by", ["params", "json"])
def test_a_committed_simulation_is_one_event_of_the_head(experiment: Experiment, database: Any, by: str) -> None:
    experiment.set_reward(context={}, action={"arm": "gone"}, reward={"value": 1})
    url = f"/eval/{experiment.id}/simulate"
    answer = experiment.http.post(url, **{by: {"N": 40, "seed": 5, "commit": True, "verbose": False}})  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert experiment.theta() == answer.json()["theta"]
    (event,) = database.events.find({"exp_id": experiment.id})
    assert (event["kind"], event["seq"], event["n"], event["seed"]) == ("simulation", 2, 40, 5)
    assert database.heads.find_one({"_id": experiment.id})["seq"] == 2
    # The next reward learns on top of it.
    experiment.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
    assert sum(theta["n"] for theta in experiment.theta().values()) == 41


def test_a_copy_of_theta_that_has_since_learned_is_not_committed(researcher: Researcher) -> None:
    experiment = researcher.create(**SLOW)
    url = f"/eval/{experiment.id}/simulate"
    answers: list[httpx.Response] = []
    body = {"N": 100, "start": "current", "commit": True}
    thread = threading.Thread(target=lambda: answers.append(experiment.http.post(url, json=body)))
    thread.start()
    while thread.is_alive():
        experiment.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
        time.sleep(0.05)
    thread.join()
    assert answers[0].status_code == 409
    rewards = experiment.summary()["set_reward_calls"]
    assert experiment.theta() == {"arm:a": {"n": rewards, "m": 1}}


def test_a_logged_simulation_is_in_the_simulation_log(experiment: Experiment) -> None:
    run = simulate(experiment, N=2500, seed=4, log_stats="True").json()
    simulate(experiment, N=10, seed=5, log_stats="True", verbose="False")
    rows = experiment.stats("simulationlog")
    assert [row["seed"] for row in rows] == [5, 4]
    assert {number: rows[1][number] for number in run["data"]} == run["data"]
    assert [name for name in rows[1] if name.isdecimal()] == [str(number) for number in range(2500)]
    assert rows[1]["0"].keys() == {"context", "action", "reward", "theta"}
    assert rows[1]["theta"] == run["theta"]
    assert rows[1]["date"].endswith("+00:00")
    url = f"/stats/{experiment.id}/simulationlog"
    page = experiment.http.get(url, params={"limit": 1, "format": "jsonl"})
    assert json.loads(page.text) == rows[0]
    following = experiment.http.get(url, params={"before": page.headers["X-Next-Before"]})
    assert following.json() == rows[1:]
    assert experiment.http.get(url, params={"format": "csv"}).text.count("\n") == 3


def test_a_failed_simulation_is_not_logged(researcher: Researcher, database: Any) -> None:
    failing = BUTTONS["set_reward"] + "if mean.get_count() == 20:\n    1 / 0\n"
    experiment = researcher.create(**(BUTTONS | {"set_reward": failing}))
    assert simulate(experiment, N=1000, log_stats="True").status_code == 500
    assert experiment.stats("simulationlog") == []
    assert database.simulation_chunks.count_documents({"exp_id": experiment.id}) == 0
    assert database.files.count_documents({"exp_id": experiment.id}) == 0


def test_the_server_gives_actions_while_it_simulates(researcher: Researcher, experiment: Experiment) -> None:
    live = researcher.create(**COUNTING)
    thread = threading.Thread(target=lambda: simulate(experiment, N=3000))
    thread.start()
    answered = 0
    while thread.is_alive():
        assert live.get_action().status_code == 200
        answered += 1
    thread.join()
    assert answered > 5


def resident_mb(pid: int) -> float:
    """The memory that a process has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.parametrize("verbose", [False, True])
def test_memory_does_not_grow_with_the_number_of_draws(server: Server, researcher: Researcher, verbose: bool) -> None:
    experiment = researcher.create(**COUNTING)
    url, parameters = f"/eval/{experiment.id}/simulate", {"seed": 1, "verbose": verbose}
    sizes = []
    for draws in (1_000, 20_000):
        with researcher.http.stream("GET", url, params=parameters | {"N": draws}) as answer:
            assert sum(len(part) for part in answer.iter_bytes()) > 50 * draws * verbose
        sizes.append(resident_mb(server.process.pid))
    assert sizes[1] < sizes[0] + 20


@pytest.mark.slow
def test_a_caller_who_goes_away_ends_the_simulation(start: Callable[..., Server]) -> None:
    server = start(**{"simulation.max_workers": 1})
    with server.researcher() as researcher:
        endless = researcher.create(**SLOW)
        with pytest.raises(httpx.ReadTimeout):
            endless.http.get(f"/eval/{endless.id}/simulate", params={"N": 10_000_000, "verbose": False}, timeout=1)
        # There is one process only: it has become free.
        assert simulate(researcher.create(**BUTTONS), N=10).status_code == 200


@pytest.mark.slow
def test_a_server_that_ends_does_not_wait_for_simulations(start: Callable[..., Server]) -> None:
    server = start()
    with server.researcher() as researcher:
        endless = researcher.create(**SLOW)
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(simulate(endless, N=10_000_000, verbose=False)))
        thread.start()
        time.sleep(2)
        assert server.stop() == 0
        thread.join()
        assert answers[0].status_code == 503


def test_a_failure_after_much_was_sent_is_told_at_the_end_of_the_answer(researcher: Researcher) -> None:
    scripts = BUTTONS | {"get_context": "self.context['text'] = 'x' * 100_000"}
    scripts["set_reward"] += "if mean.get_count() == 100:\n    1 / 0\n"
    answer = simulate(researcher.create(**scripts), N=1000, seed=1)
    assert answer.status_code == 200
    assert answer.json()["simulate"] == "failed"
    assert answer.json()["error"]["detail"]["draw"] == len(answer.json()["data"])
