"""The command line: what it prints, what it returns, and how a server begins and ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from tests.load import hammer, path
from tests.servers import COUNTING, PASSWORD, ROOT, SECRET, Researcher, Server, settings_for


@pytest.fixture
def idle(mongo: str, database_name: str, tmp_path: Path) -> Server:
    """Settings of a server that isn't started, to run other commands with."""
    return Server(tmp_path / "idle", settings_for(mongo, database_name))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["serve", "--port", "many"],
        ["serve", "--port", "70000"],
        ["serve", "--port", "-1"],
        ["serve", "--prot", "1"],
        ["serve", "extra"],
        ["user"],
        ["user", "add"],
        ["user", "promote", "x"],
        ["user", "list", "extra"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_a_hint(idle: Server, arguments: list[str]) -> None:
    said = idle.run(*arguments, code=2)
    assert "usage:" in said
    assert "Traceback" not in said


def test_help_is_there_for_every_command(idle: Server) -> None:
    commands = (["--help"], ["serve", "--help"], ["demo", "--help"], ["user", "--help"], ["user", "add", "--help"])
    for arguments in commands:
        assert "usage: thetaloop" in idle.run(*arguments)


def test_users_are_added_listed_changed_and_removed(server: Server) -> None:
    assert server.run("user", "add", "ada", "--password-stdin", text=PASSWORD + "\n") == "added ada\n"
    assert server.run("user", "add", "root", "--admin", "--password-stdin", text=PASSWORD) == "added root\n"
    listed = server.run("user", "list").splitlines()
    assert "ada" in listed
    assert "root\tadmin" in listed
    with Researcher(server.client(), "ada") as ada:
        server.run("user", "passwd", "ada", "--password-stdin", text="another password")
        assert ada.http.get("/user").status_code == 401  # her sessions ended
        body = {"username": "ada", "password": "another password"}
        assert ada.http.post("/login", json=body).status_code == 200
        server.run("user", "remove", "ada")
        assert ada.http.get("/user").status_code == 401
        assert ada.http.post("/login", json=body).status_code == 401
    assert "ada" not in server.run("user", "list").splitlines()


@pytest.mark.parametrize(
    ("arguments", "text", "complaint"),
    [
        (["user", "add", "two words", "--password-stdin"], PASSWORD, "username"),
        (["user", "add", "short", "--password-stdin"], "1234567", "password"),
        (["user", "add", "nothing", "--password-stdin"], "", "password"),
        (["user", "passwd", "nobody", "--password-stdin"], PASSWORD, "nobody"),
        (["user", "remove", "nobody"], "", "nobody"),
        (["serve", "--config", "/nowhere/config.yml"], "", "/nowhere/config.yml"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_fails_ends_with_1_and_says_why(idle: Server, arguments: list[str], text: str, complaint: str) -> None:
    said = idle.run(*arguments, text=text, code=1)
    assert complaint in said
    assert "Traceback" not in said


def test_a_name_in_use_is_an_error(idle: Server) -> None:
    idle.add_account("twice")
    assert "in use" in idle.run("user", "add", "twice", "--password-stdin", text=PASSWORD, code=1)


@pytest.mark.parametrize("command", ["add", "passwd"])
def test_without_a_terminal_a_password_comes_from_standard_input_only_if_asked_for(idle: Server, command: str) -> None:
    said = idle.run("user", command, "somebody", text=PASSWORD, code=2)
    assert "--password-stdin" in said


def test_unknown_settings_are_refused(idle: Server, tmp_path: Path) -> None:
    file = tmp_path / "some.yml"
    file.write_text("server:\n  prot: 8080\n")
    assert "server.prot" in idle.run("serve", "--config", str(file), code=1)
    idle.environment["THETALOOP_SERVER_PROT"] = "8080"
    assert "THETALOOP_SERVER_PROT" in idle.run("serve", code=1)


def test_a_port_in_use_is_an_error(idle: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = idle.run("serve", "--port", str(taken.getsockname()[1]), code=1)
    assert "server.port" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_with_a_mongodb_of_ones_own_the_cookie_secret_must_be_given_and_shared(
    start: Callable[..., Server], mongo: str, database_name: str, tmp_path: Path
) -> None:
    first = start()
    for secret, complaint in [("", "http.cookie_secret"), ("short", "16"), ("another secret of somebody", "different")]:
        settings = settings_for(mongo, database_name) | {"http.cookie_secret": secret}
        assert complaint in Server(tmp_path / "second", settings).run("serve", code=1)
    second = start(**{"http.cookie_secret": SECRET})
    with first.researcher() as researcher, second.client(cookies=dict(researcher.http.cookies)) as elsewhere:
        assert elsewhere.get("/user").json()["username"] == researcher.name


def test_it_prints_where_it_listens_once_and_nothing_else_on_standard_output(start: Callable[..., Server]) -> None:
    server = start()
    assert server.stop() == 0
    assert server.output == [f"listening on {server.url}\n"]


def test_it_runs_from_any_folder(mongo: str, tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings_for(mongo, "thetaloop_elsewhere"))
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import app.cli.main as m; "]
    command[-1] += "sys.exit(m.main(['user', 'list']))"
    done = subprocess.run(command, cwd="/", env=server.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_stop_answers_what_is_under_way(
    start: Callable[..., Server], database: Database[dict[str, Any]], number: signal.Signals
) -> None:
    server = start()
    with server.researcher() as researcher:
        slow = "for _ in range(10**6): pass\n"
        experiment = researcher.create(
            get_action=slow + "self.action['x'] = 1", set_reward=slow + COUNTING["set_reward"]
        )
        calls = [
            call
            for number_ in range(8)
            for call in (
                path("getaction", experiment.id, experiment.key, context={"n": number_}),
                path("setreward", experiment.id, experiment.key, action={"arm": "a"}, reward={"n": number_}),
            )
        ]
        experiment.get_action()
        arrived = database.decisions.count_documents({"exp_id": experiment.id})
        answers: list[Any] = []
        sender = threading.Thread(target=lambda: answers.extend(hammer([server.url], calls, clients=len(calls))))
        sender.start()
        # The first of them is decided: the others are queued or being worked on.
        server.wait_until(lambda: database.decisions.count_documents({"exp_id": experiment.id}) > arrived)
        server.process.send_signal(number)
        sender.join(60)
        assert server.process.wait(60) == 0
    assert {answer.status for answer in answers} == {200}
    rows = list(database.rewards.find({"exp_id": experiment.id}))
    assert sorted(row["reward"]["n"] for row in rows) == list(range(8))
    assert "Traceback" not in server.errors()


def test_a_sign_in_under_way_is_answered_before_the_end(start: Callable[..., Server]) -> None:
    """bcrypt takes its time on a thread; the answer is still sent."""
    server = start()
    server.run("user", "add", "late", "--password-stdin", text=PASSWORD)
    statuses: list[int] = []

    def sign_in() -> None:
        with server.client() as client:
            answer = client.post("/login", json={"username": "late", "password": PASSWORD})
            statuses.append(answer.status_code)

    senders = [threading.Thread(target=sign_in) for _ in range(4)]
    for sender in senders:
        sender.start()
    with server.client() as client:
        client.get("/health")
    # Four of them wait for two threads: at the first answer others are under way.
    server.wait_until(lambda: bool(statuses))
    server.process.send_signal(signal.SIGTERM)
    for sender in senders:
        sender.join(60)
    assert server.process.wait(60) == 0
    assert statuses == [200] * 4


def test_a_new_connection_after_the_signal_is_refused_or_told_to_come_back(start: Callable[..., Server]) -> None:
    server = start()
    assert server.stop() == 0
    with pytest.raises(httpx.ConnectError), server.client() as client:
        client.get("/health")


def test_everything_is_there_after_a_restart(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start(embedded=tmp_path / "data")
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        for _ in range(5):
            action = experiment.get_action().json()["action"]
            experiment.set_reward(action=action, reward={"value": 1})
        kept = ["currenttheta", "summary", "actionlog", "rewardlog"]
        before = {what: experiment.stats(what) for what in kept}
        listed = researcher.http.get("/exp").json()
        assert server.stop() == 0
        server.restart()
        assert {what: experiment.stats(what) for what in kept} == before
        assert researcher.http.get("/exp").json() == listed  # the cookie is still good
        experiment.set_reward(action={"arm": "a"}, reward={"value": 1})
        assert sum(theta["n"] for theta in experiment.theta().values()) == 6


@pytest.mark.slow
def test_the_data_folder_is_for_its_owner_only(start: Callable[..., Server], tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    server = start(embedded=folder)
    assert (folder / "cookie-secret").stat().st_mode & 0o777 == 0o600
    assert (folder / "mongodb").stat().st_mode & 0o777 == 0o700
    assert server.run("user", "list") == ""  # another command finds the same mongod
    assert server.stop() == 0
    server.run("user", "add", "ada", "--password-stdin", text=PASSWORD)  # and starts it if nobody runs it
    assert server.run("user", "list") == "ada\n"


def test_the_version_is_told(tmp_path: Path) -> None:
    assert Server(tmp_path, {}).run("--version").startswith("thetaloop 0.")
