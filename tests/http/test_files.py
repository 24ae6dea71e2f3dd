"""Files over HTTP: exports and draws, in ranges, on conditions, for their owners alone, and only for a while."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from app.domain.files import FileSpec
from app.domain.ids import new_id
from app.storage.client import connect
from app.storage.store import Store
from tests.http.test_long_logs import decision
from tests.servers import COUNTING, Experiment, Researcher, Server
from tests.simulation.test_simulate import BUTTONS, simulate

ROWS = 50
MEGABYTE = 2**20


@pytest.fixture
def experiment(researcher: Researcher) -> Experiment:
    """An experiment that was called some times."""
    made = researcher.create(**COUNTING)
    for number in range(ROWS):
        assert made.get_action(context={"number": number, "text": 'a,"b"\nü'}).status_code == 200
    return made


def export(experiment: Experiment, log: str = "actionlog", form: str = "csv") -> str:
    """The path of a file to which the log is written."""
    answer = experiment.http.post(f"/stats/{experiment.id}/{log}/export", json={"format": form})
    assert answer.status_code == 200, answer.text
    return f"/files/{answer.json()['file']}"


def fetched(client: httpx.Client, path: str) -> httpx.Response:
    """The file, once it is written."""
    deadline = time.monotonic() + 30
    while (answer := client.get(path)).status_code == 409:
        assert time.monotonic() < deadline
        assert "still being written" in answer.json()["error"]["message"]
        time.sleep(0.02)
    return answer


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("name", ["actionlog", "decisions"])
def test_an_export_has_what_the_log_has(experiment: Experiment, form: str, name: str) -> None:
    answer = fetched(experiment.http, export(experiment, name, form))
    log = experiment.http.get(f"/stats/{experiment.id}/{name}", params={"format": form})
    assert answer.content == log.content
    assert answer.headers["Content-Type"] == log.headers["Content-Type"]
    assert f"{name}-{experiment.id}-" in answer.headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if form == "csv":
        assert len(list(csv.reader(io.StringIO(answer.text)))) == ROWS + 1


@pytest.mark.parametrize("log", ["rewardlog", "log", "errors"])
def test_logs_without_rows_can_be_exported_too(experiment: Experiment, log: str) -> None:
    assert fetched(experiment.http, export(experiment, log, "jsonl")).content == b""
    shown = experiment.http.get(f"/stats/{experiment.id}/{log}", params={"format": "csv"})
    assert fetched(experiment.http, export(experiment, log.upper())).content == shown.content


def test_a_file_is_sent_in_ranges_and_only_to_those_who_lack_it(experiment: Experiment) -> None:
    path = export(experiment)
    whole = fetched(experiment.http, path)
    size, etag = len(whole.content), whole.headers["ETag"]

    def get(**headers: str) -> httpx.Response:
        return experiment.http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    part = get(Range="bytes=10-99")
    assert (part.status_code, part.content) == (206, whole.content[10:100])
    assert part.headers["Content-Range"] == f"bytes 10-99/{size}"
    assert (get(Range="bytes=-7").content, get(Range="bytes=7-").content) == (whole.content[-7:], whole.content[7:])
    several = get(Range="bytes=0-1,3-4")
    assert (several.status_code, several.content) == (200, whole.content)
    beyond = get(Range=f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert beyond.json()["error"]["code"] == 416

    date = whole.headers["Last-Modified"]
    weak = f'"x", W/{etag}'
    conditions: list[dict[str, str]] = [
        {"If_None_Match": etag},
        {"If_None_Match": weak},
        {"If_None_Match": "*"},
        {"If_None_Match": etag, "Range": "bytes=0-1"},
        {"If_Modified_Since": date},
    ]
    for known in conditions:
        answer = get(**known)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == etag
    assert get(If_None_Match='"other"').status_code == 200
    assert get(If_None_Match='"other"', If_Modified_Since=date).status_code == 200
    assert get(If_Range=etag, Range="bytes=0-1").status_code == 206
    assert get(If_Range='"other"', Range="bytes=0-1").status_code == 200

    head = experiment.http.head(path)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(size))
    assert head.headers["ETag"] == etag
    assert head.headers["Accept-Ranges"] == "bytes"
    assert experiment.http.head(path, headers={"If-None-Match": etag}).status_code == 304


def test_a_file_is_for_its_owner_and_for_administrators(
    experiment: Experiment, other: Researcher, server: Server
) -> None:
    path = export(experiment)
    whole = fetched(experiment.http, path)
    for method in ("GET", "HEAD"):
        assert other.http.request(method, path).status_code == 404
        assert other.http.request(method, path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 404
    foreign, missing = (other.http.get(one).json()["error"]["message"] for one in (path, "/files/nothing"))
    assert foreign == missing.replace("nothing", path.rpartition("/")[2])
    with server.client() as nobody:
        assert nobody.get(path).status_code == 401
    with server.researcher(admin=True) as admin:
        assert admin.http.get(path).content == whole.content
    assert other.http.post(f"/stats/{experiment.id}/actionlog/export", json={}).status_code == 401


def test_what_cannot_be_exported_is_named(experiment: Experiment) -> None:
    wrong = experiment.http.post(f"/stats/{experiment.id}/actionlog/export", json={"format": "xls"})
    assert (wrong.status_code, wrong.json()["error"]["detail"]["parameter"]) == (400, "format")
    unknown = experiment.http.post(f"/stats/{experiment.id}/nothing/export", json={})
    assert unknown.status_code == 404
    assert "actionlog" in unknown.json()["error"]["message"]
    assert experiment.http.get(f"/stats/{experiment.id}/actionlog/export").status_code == 405


def test_the_draws_of_a_simulation_are_a_file(researcher: Researcher, other: Researcher) -> None:
    experiment = researcher.create(**BUTTONS)
    drawn = simulate(experiment, N=100, seed=3, log_stats="True").json()
    (run,) = experiment.stats("simulationlog")
    assert run["file"] == run["run"]
    answer = researcher.http.get(f"/files/{run['file']}")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == [drawn["data"][str(n)] for n in range(100)] == [run[str(n)] for n in range(100)]
    assert other.http.get(f"/files/{run['file']}").status_code == 404


def test_an_exported_file_is_deleted_when_its_time_is_over(
    start: Callable[..., Server], alone: Database[dict[str, Any]]
) -> None:
    settings = {"mongodb.database": alone.name, "files.keep_hours": 4 / 3600, "jobs.purge_seconds": 0.1}
    server = start(**settings)
    with server.researcher() as researcher:
        path = export(researcher.create(**COUNTING))
        assert fetched(researcher.http, path).status_code == 200
        server.wait_until(lambda: researcher.http.get(path).status_code == 404)
        server.wait_until(lambda: alone.files.count_documents({}) == 0)
        assert alone["file_contents.files"].count_documents({}) == 0
        assert alone["file_contents.chunks"].count_documents({}) == 0


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_export_whose_server_ends_is_never_seen(
    end: str, start: Callable[..., Server], alone: Database[dict[str, Any]]
) -> None:
    server = start(**{"mongodb.database": alone.name})
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        alone.decisions.insert_many([decision(experiment.id, number) for number in range(100_000)], ordered=False)
        path = export(experiment)
        assert researcher.http.get(path).status_code == 409
        getattr(server, end)()
        server.restart()
        server.wait_until(lambda: researcher.http.get(path).status_code != 409)
        assert researcher.http.get(path).status_code == 404
        assert alone.files.count_documents({"state": "complete"}) == 0
        if end == "stop":
            assert alone.files.count_documents({}) == 0
    assert "Traceback" not in server.errors()


def test_a_slow_reader_of_a_large_file_costs_no_memory(server: Server) -> None:
    """It is read from MongoDB no faster than it is taken."""
    size = 60 * MEGABYTE

    async def write(owner: str) -> str:
        store = Store(connect(server.mongo_uri, server.database))
        writer = await store.files.create(FileSpec(new_id(), owner, "e", "large", "application/octet-stream"))
        for _ in range(60):
            await writer.write(bytes(MEGABYTE))
        await writer.complete()
        await store.close()
        return f"/files/{writer.spec.id}"

    with server.researcher() as researcher:
        path = asyncio.run(write(researcher.name))
        assert researcher.http.get(path, headers={"Range": "bytes=0-9"}).content == bytes(10)
        before = resident(server.process.pid)
        with researcher.http.stream("GET", path) as answer:
            pieces = answer.iter_bytes()
            received = len(next(pieces))
            time.sleep(1)  # nothing to await: the server is to do nothing
            assert resident(server.process.pid) - before < size // 2
            assert received + sum(map(len, pieces)) == size


def resident(pid: int) -> int:
    """The memory of a process, in bytes."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096
