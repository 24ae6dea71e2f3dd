"""Logs of 300,000 rows: read in constant memory, by indexes, at once."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from app.domain.ids import new_id
from tests.servers import COUNTING, Experiment, Server, settings_for

ROWS = 300_000
MEGABYTE = 2**20
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(mongo: str, database_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = settings_for(mongo, database_name) | {"jobs.fold_seconds": 1}
    with Server(tmp_path_factory.mktemp("data"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def experiment(server: Server, database: Database[dict[str, Any]]) -> Iterator[Experiment]:
    """An experiment with long logs, written straight to the database, and its owner."""
    with server.researcher() as researcher:
        made = researcher.create(**COUNTING)
        for begin in range(0, ROWS, 10_000):
            numbers = range(begin, begin + 10_000)
            database.decisions.insert_many([decision(made.id, number) for number in numbers], ordered=False)
            database.rewards.insert_many([reward(made.id, number) for number in numbers], ordered=False)
            database.logs.insert_many([log(made.id, number) for number in numbers], ordered=False)
        database.heads.update_one({"_id": made.id}, {"$set": {"seq": ROWS, "rewards": ROWS}})
        # These rows are dated long before they were inserted, which no server does: what was counted meanwhile is off.
        database.counters.delete_one({"_id": made.id})
        yield made


def decision(exp_id: str, number: int) -> dict[str, Any]:
    date = BEGIN + timedelta(seconds=number // 2)  # two rows share each date
    given = {"context": {"number": number}, "action": {"arm": "a"}, "propensity": 0.5}
    return {"_id": new_id(), "exp_id": exp_id, "date": date, **given, "revision": 1, "seq": 0, "epoch": 1,
            "status": "logged"}  # fmt: skip


def reward(exp_id: str, number: int) -> dict[str, Any]:
    row = {"context": {}, "action": {"arm": "a"}, "reward": {"value": 1}, "revision": 1, "default": False}
    return {"_id": new_id(), "exp_id": exp_id, "date": BEGIN, "seq": number + 1, **row}


def log(exp_id: str, number: int) -> dict[str, Any]:
    return {"_id": new_id(), "exp_id": exp_id, "date": BEGIN, "row": "x", "data": {"number": number}}


def resident(server: Server) -> float:
    """The server's memory, in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


@pytest.mark.parametrize(
    # The rows that make so much text would fill several hundred megabytes.
    ("log", "form", "megabytes"),
    [("actionlog", "jsonl", 40), ("actionlog", "csv", 15), ("decisions", "jsonl", 40)],
)
def test_a_whole_log_streams_in_constant_memory(
    server: Server, database: Database[dict[str, Any]], experiment: Experiment, log: str, form: str, megabytes: int
) -> None:
    before = resident(server)
    highest, size, lines = before, 0, 0
    with experiment.http.stream("GET", f"/stats/{experiment.id}/{log}", params={"format": form}) as answer:
        for number, chunk in enumerate(answer.iter_bytes()):
            size += len(chunk)
            lines += chunk.count(b"\n")
            if number % 100 == 0:
                highest = max(highest, resident(server))
    assert lines == database.decisions.count_documents({"exp_id": experiment.id}) + (form == "csv")
    assert size > megabytes * MEGABYTE
    assert highest - before < 40


def test_every_row_comes_once_as_csv_and_as_json(experiment: Experiment) -> None:
    with experiment.http.stream("GET", f"/stats/{experiment.id}/rewardlog", params={"format": "csv"}) as answer:
        seqs = [int(row["seq"]) for row in csv.DictReader(answer.iter_lines())]
    assert len(seqs) >= ROWS
    assert seqs == list(range(len(seqs), 0, -1))
    assert len(json.loads(experiment.http.get(f"/stats/{experiment.id}/log").content)) == ROWS


def test_pages_of_rows_of_the_same_date_neither_skip_nor_repeat(experiment: Experiment) -> None:
    seen: list[Any] = []
    before = None
    for _ in range(7):
        parameters = {"limit": 1001} | ({"before": before} if before else {})
        answer = experiment.http.get(f"/stats/{experiment.id}/actionlog", params=parameters)
        seen += answer.json()
        before = answer.headers["X-Next-Before"]
    assert seen == experiment.stats("actionlog", limit=7 * 1001)


def test_a_reader_who_is_slow_or_leaves_does_no_harm(server: Server, experiment: Experiment) -> None:
    before = resident(server)
    for _ in range(5):
        with experiment.http.stream("GET", f"/stats/{experiment.id}/actionlog") as answer:
            next(answer.iter_bytes())
    assert experiment.get_action().status_code == 200
    assert resident(server) - before < 40


def test_every_query_of_every_call_uses_an_index(
    server: Server, database: Database[dict[str, Any]], experiment: Experiment
) -> None:
    database.command("profile", 2)
    try:
        advice = experiment.get_action(context={}, request_id="one").json()
        experiment.set_reward(context={}, action=advice["action"], reward={"value": 1}, request_id="one")
        for path in ("actionlog", "rewardlog", "log", "errors", "hourlytheta"):
            experiment.stats(path, limit=10)
            experiment.stats(path, limit=10, before="2026-06-01" if path == "hourlytheta" else cursor(path))
        experiment.theta()
        experiment.summary()
        experiment.http.get("/exp")
        experiment.http.get(f"/exp/{experiment.id}/revisions")
        experiment.http.get(f"/exp/{experiment.id}/resetexperiment", params={"key": experiment.key})
    finally:
        database.command("profile", 0)
    # A change stream follows MongoDB's own log from where it is, which counts as a scan.
    stream = {
        "$or": [{f"{of}.pipeline.0.$changeStream": {"$exists": True}} for of in ("command", "originatingCommand")]
    }
    wanted = {"ns": {"$not": re.compile("system|\\$cmd")}, "$nor": [stream]}
    seen = list(database["system.profile"].find(wanted))
    plans = {(row["ns"].partition(".")[2], row["planSummary"]) for row in seen if "planSummary" in row}
    assert {collection for collection, _ in plans} >= {"decisions", "rewards", "logs", "errors", "theta", "heads"}
    # The first listing of collections this small may scan them: they have one document for the whole database.
    scans = {plan for plan in plans if "COLLSCAN" in plan[1]}
    assert not scans
    examined = {row["ns"]: row["docsExamined"] for row in seen if row.get("docsExamined", 0) > 1000}
    assert not examined


def cursor(path: str) -> str:
    """A cursor somewhere in the middle."""
    middle = int((BEGIN + timedelta(seconds=ROWS // 4)).timestamp() * 1000)
    return str(ROWS // 2) if path == "rewardlog" else f"{middle}-{'f' * 32}"


def test_counts_are_folded_and_stay_exact(
    server: Server, database: Database[dict[str, Any]], experiment: Experiment
) -> None:
    server.wait_until(lambda: database.counters.count_documents({"_id": experiment.id}) == 1, seconds=120)
    stored = database.counters.find_one({"_id": experiment.id})
    assert stored is not None
    assert stored["actions"] >= ROWS
    assert experiment.summary()["get_action_calls"] == database.decisions.count_documents({"exp_id": experiment.id})
