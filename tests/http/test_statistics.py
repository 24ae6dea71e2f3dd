"""What researchers read: lists, cursors and formats, counts, snapshots."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from tests.servers import COUNTING, Experiment, Researcher


@pytest.fixture
def experiment(researcher: Researcher) -> Experiment:
    """An experiment with five decisions, each rewarded by its advice."""
    scripts = COUNTING | {
        "set_reward": COUNTING["set_reward"] + "self.log_data({'arm': arm, 'n': count.get_value()})\n"
    }
    made = researcher.create(**scripts, advice_id=True, delta_hours=1, default_reward={"value": 0})
    for number in range(5):
        advice = made.get_action(context={"number": number}).json()["advice_id"]
        assert made.set_reward(advice_id=advice, reward={"value": number}).json() == {"status": "success"}
    return made


def test_the_action_log_has_all_that_is_needed_to_evaluate_a_policy(experiment: Experiment) -> None:
    rows = experiment.stats("actionlog")
    assert [row["context"]["number"] for row in rows] == [4, 3, 2, 1, 0]
    wanted = {"date", "context", "action", "propensity", "advice_id", "revision", "seq", "epoch", "seed", "status"}
    assert rows[0].keys() == wanted
    assert rows[0]["propensity"] == rows[0]["action"]["propensity"] == 0.5
    assert rows[0]["status"] == "rewarded"
    assert rows[0]["date"].endswith("+00:00")


def test_the_reward_log_is_in_the_order_of_seq(experiment: Experiment) -> None:
    rows = experiment.stats("rewardlog")
    assert [row["reward"]["value"] for row in rows] == [4, 3, 2, 1, 0]
    assert [row["seq"] for row in rows] == [5, 4, 3, 2, 1]
    assert rows[0].keys() == {"date", "seq", "context", "action", "reward", "advice_id", "revision", "seed"}


def test_the_manual_log_has_what_scripts_logged_and_when(experiment: Experiment) -> None:
    rows = experiment.stats("log")
    assert len(rows) == 5
    assert rows[0].keys() == {"arm", "n", "date"}


@pytest.mark.parametrize("log", ["actionlog", "rewardlog", "log"])
def test_pages_follow_one_another_without_gap_or_overlap(experiment: Experiment, log: str) -> None:
    whole = experiment.stats(log)
    pages, before = [], None
    while True:
        answer = experiment.http.get(
            f"/stats/{experiment.id}/{log}", params={"limit": 2} | ({"before": before} if before else {})
        )
        pages.append(answer.json())
        before = answer.headers.get("X-Next-Before")
        if before is None:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [row for page in pages for row in page] == whole


def test_lists_come_as_json_lines_and_as_csv(experiment: Experiment) -> None:
    whole = experiment.stats("rewardlog")
    url = f"/stats/{experiment.id}/rewardlog"
    lines = experiment.http.get(url, params={"format": "jsonl"}).text.splitlines()
    assert [json.loads(line) for line in lines] == whole
    table = list(csv.DictReader(io.StringIO(experiment.http.get(url, params={"format": "csv"}).text)))
    assert [json.loads(row["reward"]) for row in table] == [row["reward"] for row in whole]
    assert table[0]["seq"] == "5"


@pytest.mark.parametrize(
    ("parameters", "named"),
    [({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"), ({"before": "x"}, "before"), ({"format": "xml"}, "format")],
)
def test_bad_parameters_of_lists_are_named(experiment: Experiment, parameters: dict[str, str], named: str) -> None:
    answer = experiment.http.get(f"/stats/{experiment.id}/actionlog", params=parameters)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"] == {"parameter": named}


def test_the_summary_counts_calls_and_dates_them(experiment: Experiment) -> None:
    summary = experiment.summary()
    assert summary["get_action_calls"] == summary["set_reward_calls"] == 5
    assert summary["last_added_get_action"] == experiment.stats("actionlog")[0]["date"]
    assert summary["last_added_set_reward"] == experiment.stats("rewardlog")[0]["date"]


def test_an_untouched_experiment_has_empty_lists_and_no_dates(researcher: Researcher) -> None:
    experiment = researcher.create()
    for log in ("actionlog", "rewardlog", "log", "errors", "hourlytheta"):
        assert experiment.stats(log) == []
    assert experiment.summary() == {
        "get_action_calls": 0,
        "last_added_get_action": None,
        "set_reward_calls": 0,
        "last_added_set_reward": None,
    }


def test_a_failing_script_is_shown_to_its_owner_and_not_to_the_caller(researcher: Researcher) -> None:
    experiment = researcher.create(get_action="x = 1\nself.action['a'] = x / 0")
    answer = experiment.get_action()
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text
    (row,) = experiment.wait_for("errors")
    assert row.pop("date")[:2] == "20"
    assert row == {
        "script": "get_action",
        "line": 2,
        "message": "ZeroDivisionError: division by zero",
        "source": "self.action['a'] = x / 0",
        "revision": 1,
    }


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_a_stream_that_fails_half_way_is_broken_off(
    experiment: Experiment, database: Database[dict[str, Any]], form: str
) -> None:
    row = database.rewards.find_one({"exp_id": experiment.id})
    assert row is not None
    rows = [{**row, "_id": f"{experiment.id}:{seq}", "seq": seq} for seq in range(10, 3_000)]
    del rows[0]["date"]  # the last to be sent
    database.rewards.insert_many(rows)
    url = f"/stats/{experiment.id}/rewardlog"
    with pytest.raises(httpx.RemoteProtocolError):
        experiment.http.get(url, params={"format": form})
    assert len(experiment.stats("rewardlog", limit=2_000)) == 2_000


@pytest.mark.parametrize("path", ["currenttheta", "summary", "actionlog", "rewardlog", "log", "errors", "hourlytheta"])
def test_statistics_are_for_the_owner_alone(experiment: Experiment, other: Researcher, path: str) -> None:
    foreign = other.http.get(f"/stats/{experiment.id}/{path}")
    missing = other.http.get(f"/stats/nothing/{path}")
    assert (foreign.status_code, missing.status_code) == (401, 401)
    assert foreign.json()["error"]["message"].replace(experiment.id, "nothing") == missing.json()["error"]["message"]
    other.http.cookies.clear()
    assert other.http.get(f"/stats/{experiment.id}/{path}").status_code == 401
