"""MongoDB is killed, stopped or was never there: callers are told to come back, and it mends by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pymongo import MongoClient

from app.storage.embedded import EmbeddedMongo
from app.storage.mongod import find_mongod
from tests.engine.test_exactly_once import ADVISED
from tests.proxy import Proxy
from tests.servers import COUNTING, Experiment, Researcher, Server, settings_for

# mongodb.timeout_seconds; what a loaded machine adds is the slack.
PROMISED_SECONDS = 15
SLACK_SECONDS = 15


@pytest.fixture
def server(start: Callable[..., Server], own_mongo: EmbeddedMongo) -> Server:
    """A server on a MongoDB that this test alone uses."""
    return start(**settings_for(own_mongo.uri, "outages"))


@pytest.fixture
def settings() -> dict[str, Any]:
    return settings_for("", "outages")


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[str]:
    """A mongod without a replica set."""
    folder = tmp_path / "standalone"
    folder.mkdir()
    socket = folder / "mongod.sock"
    options = ["--dbpath", folder, "--bind_ip", socket, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([find_mongod(), *options], stdout=log, stderr=log, env={**os.environ, "LC_ALL": "C"})
    uri = f"mongodb://{quote(str(socket), safe='')}/"
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=60_000) as client:
        client.admin.command("ping")
    yield uri
    process.terminate()
    process.wait(60)


def assert_told_to_come_back(answer: httpx.Response) -> None:
    """A 503 that says when to try again."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "database" in answer.json()["error"]["message"]
    assert "Traceback" not in answer.text


def until_back(call: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer that is no 503; the calls take their time, so nothing has to sleep."""
    deadline = time.monotonic() + 60
    while (answer := call()).status_code == 503 and time.monotonic() < deadline:
        assert "Retry-After" in answer.headers
    return answer


@pytest.mark.parametrize("away", ["killed", pytest.param("stopped", marks=pytest.mark.slow)])
def test_without_mongodb_calls_are_answered_503_and_work_again_when_it_is_back(
    server: Server, own_mongo: EmbeddedMongo, away: str
) -> None:
    with server.researcher() as researcher:
        experiment = researcher.create(**ADVISED)
        advice = experiment.get_action().json()["advice_id"]
        if away == "killed":
            os.kill(own_mongo.pid, signal.SIGKILL)
        else:
            os.kill(own_mongo.pid, signal.SIGSTOP)
        try:
            check_everything_answers_in_time(server, experiment, researcher, advice)
        finally:
            if away == "killed":
                own_mongo.ensure()
            else:
                os.kill(own_mongo.pid, signal.SIGCONT)
        answer = until_back(lambda: experiment.set_reward(advice_id=advice, reward={"value": 1}))
        assert answer.json()["status"] == "success"
        assert until_back(experiment.get_action).status_code == 200
        assert until_back(lambda: researcher.http.get("/exp")).status_code == 200
        assert until_back(lambda: researcher.http.get("/health")).status_code == 200
        assert sum(theta["n"] for theta in experiment.theta().values()) == 1
    assert server.process.poll() is None
    assert "Traceback" not in server.errors()


def check_everything_answers_in_time(
    server: Server, experiment: Experiment, researcher: Researcher, advice: str
) -> None:
    """All kinds of calls at once, each answered 503 within its time."""
    given = {"key": experiment.key, "advice_id": advice, "reward": '{"value": 1}'}
    calls = [
        ("GET", f"/getaction/{experiment.id}"),
        ("GET", f"/setreward/{experiment.id}"),
        ("GET", "/getaction/unknown"),
        ("GET", "/exp"),
        ("POST", "/login"),
        ("GET", "/health"),
    ] * 4

    async def everything() -> list[httpx.Response]:
        cookies = httpx.Cookies(researcher.http.cookies)
        async with httpx.AsyncClient(base_url=server.url, cookies=cookies, timeout=60) as client:
            body = {"username": "a", "password": "b"}
            return await asyncio.gather(*(client.request(*call, params=given, json=body) for call in calls))

    for answer in asyncio.run(everything()):
        assert_told_to_come_back(answer)
        assert answer.elapsed.total_seconds() < PROMISED_SECONDS + SLACK_SECONDS


@contextmanager
def proxied(mongo: str) -> Iterator[Proxy]:
    """A proxy that works on a thread of its own, as what the test does blocks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(60)

    proxy = Proxy(mongo)
    run(proxy.__aenter__())
    try:
        yield proxy
    finally:
        run(proxy.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


OTHER_LOGS = ("rewardlog", "log", "errors", "hourlytheta", "simulationlog")


@pytest.mark.parametrize("log", ["actionlog", *(pytest.param(log, marks=pytest.mark.slow) for log in OTHER_LOGS)])
def test_an_outage_at_the_first_row_of_a_log_is_answered_503(
    log: str, start: Callable[..., Server], mongo: str, database_name: str
) -> None:
    reads_before = 3  # who is signed in, their account, their experiment
    with proxied(mongo) as proxy:

        async def away() -> None:
            proxy.dark = True
            proxy.cut()

        quiet_jobs = {"jobs.timeout_check_seconds": 600, "jobs.purge_seconds": 600, "jobs.snapshot_minutes": 600}
        server = start(**settings_for(proxy.uri, database_name), **quiet_jobs)
        with server.researcher() as researcher:
            url = f"/stats/{researcher.create(**COUNTING).id}/{log}"
            proxy.at("find", reads_before + 1, "before", away)
            assert_told_to_come_back(researcher.http.get(url))
            assert proxy.forget() == 0
            proxy.dark = False
            assert until_back(lambda: researcher.http.get(url)).json() == []
        assert "Traceback" not in server.errors()
        server.__exit__(None, None, None)


def test_a_private_mongod_that_dies_is_started_again(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(embedded=tmp_path / "data")
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        before = server.mongod_pid
        os.kill(before, signal.SIGKILL)
        answer = until_back(lambda: experiment.set_reward(action={"arm": "a"}, reward={"value": 1}))
        assert answer.json() == {"status": "success"}
        assert server.mongod_pid != before
        assert experiment.theta() == {"arm:a": {"n": 1}}


def test_a_mongodb_that_is_no_replica_set_is_refused_at_the_start(
    tmp_path: Path, standalone: str, settings: dict[str, Any]
) -> None:
    server = Server(tmp_path / "data", settings | {"mongodb.uri": standalone})
    said = server.run("serve", code=1)
    assert "replica set" in said
    assert "rs.initiate()" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "uri",
    ["mongodb://127.0.0.1:1/?replicaSet=rs", "mongodb://%2Fnobody-listens-here.sock/"],
)
def test_a_mongodb_that_does_not_answer_is_an_error_at_the_start(
    tmp_path: Path, settings: dict[str, Any], uri: str
) -> None:
    said = Server(tmp_path / "data", settings | {"mongodb.uri": uri}).run("serve", code=1)
    assert "mongodb.uri" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("uri", ["mongodb://", "http://127.0.0.1", "mongodb://h:port"])
def test_an_address_that_is_none_is_an_error_at_the_start(tmp_path: Path, settings: dict[str, Any], uri: str) -> None:
    said = Server(tmp_path / "data", settings | {"mongodb.uri": uri}).run("serve", code=1)
    assert "mongodb.uri" in said
    assert "Traceback" not in said


def test_a_mongodb_that_asks_for_a_password_is_an_error_that_names_the_setting(
    tmp_path: Path, settings: dict[str, Any], mongo: str
) -> None:
    uri = mongo.replace("mongodb://", "mongodb://nobody:wrong@")
    said = Server(tmp_path / "data", settings | {"mongodb.uri": uri}).run("serve", code=1)
    assert "mongodb.uri" in said
    assert "Traceback" not in said
