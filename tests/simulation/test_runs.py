"""Runs in the background: progress, cancelling, what they came to, and what remains of them when servers die."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.servers import COUNTING, Experiment, Researcher, Server
from tests.simulation.test_simulate import BUTTONS, SLOW, simulate


def begin(experiment: Experiment, **parameters: Any) -> str:
    answer = experiment.http.post(f"/eval/{experiment.id}/simulations", json=parameters)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["run"])


def state(experiment: Experiment, run: str) -> Any:
    return experiment.http.get(f"/eval/{experiment.id}/simulations/{run}").json()


def ended(experiment: Experiment, run: str, seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while (found := state(experiment, run))["status"] == "running":
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_a_run_in_the_background_comes_to_what_it_comes_to_while_one_waits(researcher: Researcher) -> None:
    experiment = researcher.create(**BUTTONS)
    run = ended(experiment, begin(experiment, n=500, seed=10))
    assert (run["status"], run["done"], run["n"], run["seed"]) == ("done", 500, 500, 10)
    waited = simulate(experiment, N=500, seed=10).json()
    assert run["theta"] == waited["theta"]
    pulls = {arm: row["pulls"] for arm, row in run["arms"].items()}
    rewards = [draw["reward"]["value"] for draw in waited["data"].values()]
    assert pulls == {key.removeprefix("arm:"): theta["n"] for key, theta in run["theta"].items()}
    for arm, row in run["arms"].items():
        assert row["mean_reward"] == pytest.approx(run["theta"][f"arm:{arm}"]["m"])
        assert row["share"] == row["pulls"] / 500
    series = run["series"]
    assert series["draws"] == list(range(1, 501))
    assert series["reward"] == [sum(rewards[:count]) for count in series["draws"]]
    assert {arm: counts[-1] for arm, counts in series["pulls"].items()} == pulls
    assert experiment.theta() == {}
    (listed,) = experiment.http.get(f"/eval/{experiment.id}/simulations").json()
    assert {k: v for k, v in run.items() if k not in ("series", "theta")} == listed


def test_a_series_has_at_most_two_thousand_points(researcher: Researcher) -> None:
    instant = dict.fromkeys(("get_action", "get_reward", "set_reward"), "#")
    experiment = researcher.create(**instant)
    run = ended(experiment, begin(experiment, n=20_001, seed=1))
    assert run["arms"] == {"{}": {"pulls": 20_001, "share": 1, "mean_reward": None}}
    assert len(run["series"]["draws"]) == 20_001 // 11
    assert run["series"]["draws"][-1] == 20_001 // 11 * 11


def test_more_arms_than_can_be_shown_are_counted_together(researcher: Researcher) -> None:
    experiment = researcher.create(
        **(COUNTING | {"get_action": "self.action['price'] = random.random()", "set_reward": "#"})
    )
    run = ended(experiment, begin(experiment, n=300, seed=1))
    assert len(run["arms"]) == 51
    assert run["arms"]["(other arms)"]["pulls"] == 250


def test_repetitions_are_independent_and_give_intervals(researcher: Researcher) -> None:
    experiment = researcher.create(**BUTTONS)
    first = ended(experiment, begin(experiment, n=100, seed=10, repeat=4))
    assert (first["status"], first["done"], first["repeat"]) == ("done", 400, 4)
    assert sum(row["pulls"] for row in first["arms"].values()) == 400
    series = first["series"]
    assert series["reward_low"][-1] < series["reward"][-1] < series["reward_high"][-1]
    again = ended(experiment, begin(experiment, n=100, seed=10, repeat=4))
    assert (again["arms"], again["series"]) == (first["arms"], first["series"])


def test_regret_is_told_where_the_truth_is_known(researcher: Researcher) -> None:
    experiment = researcher.create(**BUTTONS)
    run = ended(experiment, begin(experiment, n=200, seed=1, repeat=3, expected={"a": 0.3, "b": 0.6}))
    assert run["arms"]["a"]["regret"] == pytest.approx(run["arms"]["a"]["pulls"] / 3 * 0.3)
    assert run["arms"]["b"]["regret"] == 0
    assert run["regret"] == pytest.approx(run["arms"]["a"]["regret"])
    assert run["regret_low"] < run["regret"] < run["regret_high"]
    assert run["series"]["regret"][-1] == pytest.approx(run["regret"])
    assert run["expected"] == {"a": 0.3, "b": 0.6}
    unknown = ended(experiment, begin(experiment, n=200, seed=1, expected={"a": 0.3}))
    assert "regret" not in unknown | unknown["series"] | unknown["arms"]["a"]


def test_the_truth_of_a_ready_made_experiment_is_told(researcher: Researcher) -> None:
    default = researcher.http.get("/exp/defaults/3").json()
    assert default["expected_reward"] == {"A": 0.2, "B": 0.4, "C": 0.8}
    assert researcher.http.get("/exp/defaults/19").json()["expected_reward"] == {}  # it depends on the visitor
    experiment = researcher.create(**default)
    run = ended(experiment, begin(experiment, n=100, seed=1, expected=default["expected_reward"]))
    assert run["regret"] == pytest.approx(sum(row["regret"] for row in run["arms"].values()))


def test_a_run_under_way_shows_its_arms_and_series(researcher: Researcher) -> None:
    experiment = researcher.create(**SLOW)
    run = begin(experiment, n=2_000, repeat=2, expected={"a": 0.3, "b": 0.6})
    deadline = time.monotonic() + 60
    while not (found := state(experiment, run))["series"]["draws"]:
        assert found["status"] == "running"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found["status"] == "running"
    assert found["done"] >= sum(row["pulls"] for row in found["arms"].values()) > 0
    assert len(found["series"]["draws"]) == len(found["series"]["reward"]) == len(found["series"]["regret"])
    experiment.http.delete(f"/eval/{experiment.id}/simulations/{run}")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"n": 0}, "N"),
        ({"n": 10, "expected": [0.3]}, "expected"),
        ({"n": 10, "expected": {"a": "high"}}, "expected"),
        ({"n": 10, "repeat": 0}, "repeat"),
        ({"n": 10_000_000, "repeat": 11}, "repeat"),
        ({"n": 10, "repeat": 2, "commit": True}, "repeat"),
        ({"n": 10, "repeat": 2, "log_stats": True}, "repeat"),
        ({"n": 10, "start": 7}, "start"),
        ({"n": True}, "N"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(researcher: Researcher, given: dict[str, Any], named: str) -> None:
    experiment = researcher.create(**BUTTONS)
    answer = experiment.http.post(f"/eval/{experiment.id}/simulations", json=given)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"]["parameter"] == named
    assert experiment.http.get(f"/eval/{experiment.id}/simulations").json() == []


def test_a_run_shows_progress_and_is_cancelled_within_a_second(researcher: Researcher) -> None:
    experiment = researcher.create(**SLOW)
    run = begin(experiment, n=10_000_000)
    deadline = time.monotonic() + 30
    while not 0 < state(experiment, run)["done"] < 10_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    begun = time.monotonic()
    answer = experiment.http.delete(f"/eval/{experiment.id}/simulations/{run}").json()
    assert time.monotonic() - begun < 10
    assert answer["status"] == "cancelled"
    assert 0 < answer["done"] == sum(row["pulls"] for row in answer["arms"].values())
    assert experiment.http.delete(f"/eval/{experiment.id}/simulations/{run}").json() == answer


@pytest.mark.slow
def test_a_run_is_cancelled_from_another_server(start: Callable[..., Server]) -> None:
    one, other = start(), start()
    with one.researcher() as researcher, other.client(cookies=researcher.http.cookies) as elsewhere:
        experiment = researcher.create(**SLOW)
        run = begin(experiment, n=10_000_000)
        there = Experiment(elsewhere, experiment.id, experiment.key)
        assert elsewhere.delete(f"/eval/{experiment.id}/simulations/{run}").status_code == 200
        assert ended(there, run, seconds=10)["status"] == "cancelled"


def test_a_failing_run_says_which_draw_and_why(researcher: Researcher) -> None:
    failing = BUTTONS["set_reward"] + "if mean.get_count() == 7:\n    1 / 0\n"
    experiment = researcher.create(**(BUTTONS | {"set_reward": failing}))
    run = ended(experiment, begin(experiment, n=100, seed=1, log_stats=True))
    assert run["status"] == "failed"
    detail = run["error"]["detail"]
    assert (detail["script"], detail["line"]) == ("set_reward", failing.count("\n"))
    assert detail["draw"] == run["done"] >= 6
    assert experiment.stats("simulationlog") == []


def test_a_run_is_committed_and_logged_in_the_background(researcher: Researcher) -> None:
    experiment = researcher.create(**BUTTONS)
    run = ended(experiment, begin(experiment, n=50, seed=1, commit=True, log_stats=True))
    assert run["status"] == "done"
    assert experiment.theta() == run["theta"]
    (row,) = experiment.stats("simulationlog")
    draws = [row[str(number)] for number in range(50)]
    assert (row["run"], len(draws), row["theta"]) == (run["run"], 50, run["theta"])


def test_runs_of_one_experiment_are_not_those_of_another(researcher: Researcher, other: Researcher) -> None:
    experiment, foreign = researcher.create(**BUTTONS), other.create(**BUTTONS)
    run = begin(foreign, n=10)
    assert experiment.http.get(f"/eval/{experiment.id}/simulations/{run}").status_code == 404
    assert experiment.http.delete(f"/eval/{experiment.id}/simulations/{run}").status_code == 404
    assert ended(foreign, run)["status"] == "done"


@pytest.mark.slow
def test_runs_survive_their_server_and_one_under_way_is_failed(
    start: Callable[..., Server], alone: Database[dict[str, Any]]
) -> None:
    server = start(**{"mongodb.database": alone.name})
    with server.researcher() as researcher:
        quick, slow = researcher.create(**BUTTONS), researcher.create(**SLOW)
        done = ended(quick, begin(quick, n=20, seed=1))
        stopped = begin(slow, n=10_000_000)
        assert server.stop() == 0
        server.restart()
        assert state(quick, done["run"]) == done
        assert "was stopped" in state(slow, stopped)["error"]["message"]


@pytest.mark.slow
def test_a_run_whose_server_was_killed_is_failed(start: Callable[..., Server], alone: Database[dict[str, Any]]) -> None:
    server = start(**{"mongodb.database": alone.name})
    with server.researcher() as researcher:
        slow = researcher.create(**SLOW)
        killed = begin(slow, n=10_000_000)
        server.kill()
        server.restart()
        assert "has ended" in ended(slow, killed, seconds=60)["error"]["message"]


@pytest.mark.slow
def test_a_deleted_experiments_runs_go_with_it(start: Callable[..., Server], alone: Database[dict[str, Any]]) -> None:
    settings = {"mongodb.database": alone.name, "jobs.purge_seconds": 0.1, "jobs.purge_after_seconds": 0}
    server = start(**settings)
    with server.researcher() as researcher:
        experiment = researcher.create(**BUTTONS)
        ended(experiment, begin(experiment, n=5, log_stats=True))
        assert researcher.http.delete(f"/exp/{experiment.id}").status_code == 200
        server.wait_until(lambda: alone.heads.count_documents({"_id": experiment.id}) == 0)
        assert alone.simulations.count_documents({}) == alone.simulation_chunks.count_documents({}) == 0
        server.wait_until(lambda: alone.files.count_documents({}) == 0)
        assert alone["file_contents.chunks"].count_documents({}) == 0
