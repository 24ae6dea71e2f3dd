"""A server in several processes: it answers as one process does, and its processes may die one by one."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from tests.engine.test_bounds import SLOW
from tests.engine.test_exactly_once import ADVISED
from tests.engine.test_kills import check_advised, check_plain
from tests.load import Load, hammer, path
from tests.servers import COUNTING, Experiment, Researcher, Server, settings_for

BROKEN = {"get_action": "self.action['x'] = 1 / 0", "set_reward": "self.set_theta({'n': 1})\n1 / 0"}


@pytest.fixture(scope="module")
def pair(mongo: str, database_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two HTTP processes, on the database of the module; it must end cleanly."""
    settings = settings_for(mongo, database_name) | {"server.processes": 2}
    with Server(tmp_path_factory.mktemp("pair"), settings) as running:
        yield running
        children = processes(running).values()
        assert running.stop() == 0
        assert not any(map(is_there, children))


@pytest.fixture
def them(pair: Server) -> Iterator[Researcher]:
    with pair.researcher() as somebody:
        yield somebody


def processes(server: Server) -> dict[str, int]:
    """The process ids of its children, by what they are."""
    pids = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    named = {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in pids}
    return {name.removeprefix("tl-"): pid for name, pid in named.items()}


def is_there(pid: int) -> bool:
    """Whether a process lives."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def connections(pid: int) -> int:
    """How many sockets a process has open."""
    links = (os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir())
    return sum(link.startswith("socket:") for link in links)


# The same answers ----------------------------------------------------------------------------------------------------


def test_every_answer_is_that_of_a_single_process(server: Server, pair: Server) -> None:
    """Two servers, one of each kind, on one database: each call is sent to both."""
    with server.researcher() as researcher, pair.client(cookies=dict(researcher.http.cookies)) as other:
        plain, advised, broken = (researcher.create(**scripts) for scripts in (COUNTING, ADVISED, BROKEN))
        counted = researcher.create(get_action="self.action['n'] = self.context['n']", set_reward="")
        advice = advised.get_action().json()["advice_id"]
        advised.set_reward(advice_id=advice, reward={"value": 1})
        counted.get_action(context={"n": 1}, request_id="one")
        counted.set_reward(context={}, action={}, reward={"value": 1}, request_id="two")

        def answer(client: httpx.Client, method: str, url: str, options: dict[str, Any]) -> tuple[int, str | None, str]:
            got = client.request(method, url, **options)
            return got.status_code, got.headers.get("Retry-After"), got.text.replace(str(client.base_url), "")

        def asked(call: str, one: Experiment, **parameters: str) -> tuple[str, str, dict[str, Any]]:
            return "GET", f"/{call}/{one.id}", {"params": {"key": one.key} | parameters}

        def sent(call: str, one: Experiment, **body: Any) -> tuple[str, str, dict[str, Any]]:
            return "POST", f"/{call}", {"json": {"key": one.key} | body}

        first, second = '{"value": 1}', '{"value": 2}'
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "/health", {}),
            asked("getaction", counted, context='{"n": 2}'),
            asked("getaction", counted, request_id="one"),
            asked("getaction", counted, request_id="one", context='{"n": 1}'),
            asked("getaction", counted, context="[1]"),
            asked("getaction", counted, key=plain.key),
            asked("getaction", counted, key=""),
            ("GET", "/getaction/0123456789ab", {"params": {"key": plain.key}}),
            ("POST", f"/getaction/{counted.id}", {"content": b'{"key": "\\ud800"}'}),
            sent(f"getaction/{counted.id}", counted, key="\u00e9\u4e2d"),
            sent(f"getaction/{counted.id}", counted, context={"n": -(2**63)}),
            sent(f"getaction/{counted.id}", counted, context={"n": 2**64}),
            sent(f"getaction/{counted.id}/batch", counted, items=[{}, 1, {"context": 3}, {"context": {"n": 4}}]),
            asked("getaction", broken),
            asked("setreward", plain, reward="{}", advice_id="a"),
            asked("setreward", advised, reward="{}", advice_id="a"),
            asked("setreward", advised, reward=first, advice_id=advice),
            asked("setreward", advised, reward=second, advice_id=advice),
            asked("setreward", counted, reward=first, action="{}", request_id="two"),
            asked("setreward", counted, reward=second, action="{}", request_id="two"),
            asked("setreward", broken, reward="{}", action="{}"),
            ("POST", "/exp/check", {"json": {"get_action": "if", "set_reward": "import os\nx = nothing"}}),
            ("POST", "/exp", {"json": {"name": "bad", "get_action": "if"}}),
        ]
        for call in calls:
            assert answer(other, *call) == answer(researcher.http, *call), call


@pytest.mark.slow
def test_what_scripts_show_comes_with_the_answer(start: Callable[..., Server]) -> None:
    server = start(**{"server.processes": 2, "server.debug": True})
    with server.researcher() as researcher:
        scripts = {"get_action": "self.debug('seen')\nself.action['x'] = 1"}
        experiment = researcher.create(**scripts, advice_id=True, delta_hours=1, default_reward={})
        answer = experiment.get_action(context={"a": [1, None]}).json()
        assert answer["context"] == {"a": [1, None], "_debug": ["seen"]}
        told = experiment.set_reward(advice_id=answer["advice_id"], reward={"value": 1}).json()
        assert (told["context"], told["action"], told["reward"]) == ({"a": [1, None]}, {"x": 1}, {"value": 1})


def test_an_edit_is_in_effect_whichever_process_the_next_call_comes_by(them: Researcher, pair: Server) -> None:
    experiment = them.create(get_action="self.action['n'] = 0")
    for number in range(1, 11):
        assert experiment.replace(get_action=f"self.action['n'] = {number}").status_code == 200
        for _ in range(4):
            with pair.client() as client:  # a connection of its own, to one process or the other
                answer = Experiment(client, experiment.id, experiment.key).get_action()
            assert answer.json() == {"action": {"n": number}}
    assert them.http.delete(f"/exp/{experiment.id}").status_code == 200
    for _ in range(6):
        with pair.client() as client:
            assert Experiment(client, experiment.id, experiment.key).get_action().status_code == 401


# Exactly once --------------------------------------------------------------------------------------------------------


def test_many_clients_of_both_processes_are_counted_exactly_once(
    them: Researcher, pair: Server, database: Database[dict[str, Any]]
) -> None:
    experiment = them.create(**ADVISED)
    before = {name: connections(pid) for name, pid in processes(pair).items()}
    spread: list[dict[str, int]] = []

    async def load(paths: list[str]) -> list[Any]:
        load = Load([pair.url], paths, clients=64)

        async def look() -> None:
            await load.answered(len(paths) // 2)
            spread.append({name: connections(pid) - before[name] for name, pid in processes(pair).items()})

        async with asyncio.TaskGroup() as group:
            group.create_task(look())
            return await load.run()

    asked = [path("getaction", experiment.id, experiment.key, context={"i": i}) for i in range(600)]
    advices = [answer.json["advice_id"] for answer in asyncio.run(load(asked))]
    assert min(spread[0]["http-0"], spread[0]["http-1"]) > 5, "the connections all went to one process"
    rewards = [path("setreward", experiment.id, experiment.key, advice_id=a, reward={"a": a}) for a in advices * 2]
    answers = hammer([pair.url], rewards)
    assert Counter((answer.status, bool(answer.json.get("duplicate"))) for answer in answers) == {
        (200, False): 600,
        (200, True): 600,
    }
    rows = list(database.rewards.find({"exp_id": experiment.id}))
    assert sorted(row["advice_id"] for row in rows) == sorted(advices)
    assert sum(theta["n"] for theta in experiment.theta().values()) == 600


@pytest.mark.slow
def test_more_calls_than_may_wait_are_told_to_come_back(start: Callable[..., Server]) -> None:
    server = start(**{"server.processes": 2, "engine.queue_calls": 5, "engine.batch_calls": 1})
    with server.researcher() as researcher:
        experiment = researcher.create(**SLOW)
        paths = [path("getaction", experiment.id, experiment.key)] * 200
        answers = asyncio.run(Load([server.url], paths, clients=40).run())
        counts = Counter(answer.status for answer in answers)
        assert set(counts) == {200, 503}
        assert all(answer.refused for answer in answers if answer.status == 503)
        assert experiment.get_action().status_code == 200
        assert len(experiment.stats("actionlog")) == counts[200] + 1


# Beginning and end ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_says_once_what_keeps_it_from_starting(mongo: str, database_name: str, tmp_path: Path, pair: Server) -> None:
    settings = settings_for(mongo, database_name)
    port = pair.url.rpartition(":")[2]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for more, arguments, complaint in [
            ({}, ["--port", str(taken.getsockname()[1])], "server.port"),
            ({}, ["--port", port], "server.port"),  # of another server in several processes
            ({"http.cookie_secret": "short"}, [], "http.cookie_secret"),  # found by the HTTP processes
            ({"sandbox.unsafe": True, "server.address": "0.0.0.0"}, [], "sandbox.unsafe"),  # found by the engine
        ]:
            said = Server(tmp_path, settings | more).run("serve", "--processes", "2", *arguments, code=1)
            assert complaint in said
            assert said.count("thetaloop: ") == 1
            assert "Traceback" not in said


@pytest.mark.slow
def test_a_signal_to_all_processes_at_once_answers_what_is_under_way(
    start: Callable[..., Server], database: Database[dict[str, Any]]
) -> None:
    server = start(**{"server.processes": 2, "sandbox.call_seconds": 5.0})
    children = processes(server)
    assert sorted(children) == ["engine", "http-0", "http-1"]
    with server.researcher() as researcher:
        experiment = researcher.create(set_reward="for _ in range(10**6): pass\n" + COUNTING["set_reward"])
        calls = [
            path("setreward", experiment.id, experiment.key, action={"arm": "a"}, reward={"n": number})
            for number in range(16)
        ]
        answers: list[Any] = []
        sender = threading.Thread(target=lambda: answers.extend(hammer([server.url], calls, clients=16)))
        sender.start()
        server.wait_until(lambda: database.rewards.count_documents({"exp_id": experiment.id}) > 0)
        for pid in [*children.values(), server.process.pid]:
            os.kill(pid, signal.SIGTERM)
        sender.join(60)
        assert server.process.wait(60) == 0
    assert {answer.status for answer in answers} == {200}
    assert database.rewards.count_documents({"exp_id": experiment.id}) == 16
    assert not any(map(is_there, children.values()))
    assert server.output == [f"listening on {server.url}\n"]
    assert "Traceback" not in server.errors()
    assert "ended" not in server.errors()


@pytest.mark.slow
def test_a_server_killed_outright_leaves_no_process_behind(start: Callable[..., Server], tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "data"  # too long for a socket
    server = start(embedded=folder, **{"server.processes": 2})
    children = [*processes(server).values(), server.mongod_pid]
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        assert experiment.get_action().status_code == 200
        server.kill()
        server.wait_until(lambda: not any(map(is_there, children)))
        server.restart()
        assert experiment.get_action().status_code == 200
        assert len(experiment.stats("actionlog")) == 2


# Death of one process ------------------------------------------------------------------------------------------------


def kill_engine(server: Server) -> None:
    """SIGKILL the engine process; the server starts another by itself."""
    server.wait_until(lambda: "engine" in processes(server))
    os.kill(processes(server)["engine"], signal.SIGKILL)


def kill_front(server: Server) -> None:
    """SIGKILL an HTTP process; the server starts another by itself."""
    server.wait_until(lambda: "http-1" in processes(server))
    os.kill(processes(server)["http-1"], signal.SIGKILL)


@pytest.mark.slow
def test_while_the_engine_process_is_away_calls_are_told_to_come_back(start: Callable[..., Server]) -> None:
    server = start(**{"server.processes": 2})
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        assert experiment.get_action().status_code == 200
        old = processes(server)["engine"]
        os.kill(old, signal.SIGSTOP)  # it takes calls, and answers none
        waiting: list[httpx.Response] = []
        with server.client() as client:
            call = Experiment(client, experiment.id, experiment.key)
            caller = threading.Thread(target=lambda: waiting.append(call.get_action()))
            caller.start()
            caller.join(0.5)
            os.kill(old, signal.SIGKILL)
            caller.join(60)
        answers = [*waiting, experiment.get_action()]
        for answer in answers:
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "1"
        assert researcher.http.get("/health").status_code == 503
        assert researcher.http.get("/exp").status_code == 200
        assert experiment.replace(**COUNTING).status_code == 503  # nobody can say whether the scripts are sound
        # A delete needs no engine, but is answered once there is one again, which knows nothing older.
        assert researcher.http.delete(f"/exp/{experiment.id}").status_code == 200
        assert processes(server)["engine"] != old
        assert experiment.get_action().status_code == 401


@pytest.mark.slow
@pytest.mark.parametrize("kills", [[kill_engine] * 2, [kill_front] * 2, [kill_engine, kill_front] * 2])
def test_what_was_answered_survives_the_death_of_any_process(
    start: Callable[..., Server], kills: list[Callable[[Server], None]]
) -> None:
    server = start(**{"server.processes": 2})
    with server.researcher() as researcher:
        check_advised([server], researcher.create(**ADVISED), kills, calls=1_500)
        check_plain([server], researcher.create(**COUNTING), kills, calls=1_500)
