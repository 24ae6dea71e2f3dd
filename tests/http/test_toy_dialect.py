"""A new API is a folder and a line in the configuration: here one with errors, tokens and a prefix of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.toy_dialect.access import PLAYER, READER
from tests.servers import COUNTING, ROOT, Server, settings_for

SERVED = ["streamingbandit", "tests.http.toy_dialect"]


@pytest.fixture(scope="module")
def server(mongo: str, database_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = settings_for(mongo, database_name) | {
        "http.dialects": SERVED,
        "http.allowed_origins": ["https://a.example"],
    }
    with Server(tmp_path_factory.mktemp("data"), settings) as running:
        yield running


@pytest.fixture
def player(server: Server) -> Iterator[httpx.Client]:
    with server.client(headers={"Authorization": f"Bearer {PLAYER}"}) as client:
        yield client


def test_it_answers_below_its_prefix_beside_the_other_api(server: Server, player: httpx.Client) -> None:
    assert player.get("/toy/v1/menu").json() == {"hello": "player", "may": ["flip", "look"]}
    assert player.post("/toy/v1/coins/penny", json={"sides": 2}).json() == {"coin": "penny", "side": "heads"}
    assert player.get("/health").json()["status"] == "ok"
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        assert experiment.get_action().status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nobody"}, {"Authorization": f"Basic {PLAYER}"}])
def test_a_caller_without_a_valid_token_is_refused_in_its_shape(server: Server, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{server.url}/toy/v1/menu", headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"oops": "a valid bearer token is needed", "code": "TokenRefused"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_session_cookie_is_no_token(server: Server) -> None:
    with server.researcher() as researcher:
        assert researcher.http.get("/user").status_code == 200
        assert researcher.http.get("/toy/v1/menu").status_code == 401


def test_a_token_is_no_session(player: httpx.Client) -> None:
    assert player.get("/user").status_code == 401


@pytest.mark.parametrize("header", ["X-Toy-Token", "x-toy-token"])
def test_a_scope_that_the_caller_lacks_is_named(server: Server, header: str) -> None:
    with server.client(headers={header: READER}) as reader:
        assert reader.get("/toy/v1/menu").json() == {"hello": "reader", "may": ["look"]}
        answer = reader.post("/toy/v1/coins/penny", json={"sides": 2})
    assert answer.status_code == 403
    assert answer.json() == {"oops": "this call needs the scope 'flip'", "code": "ScopeMissing"}


def test_its_statuses_are_its_own(player: httpx.Client) -> None:
    bad = player.post("/toy/v1/coins/penny", json={"sides": "x"})
    assert (bad.status_code, bad.json()["code"]) == (422, "InvalidParameter")
    assert bad.json()["oops"] == "sides: expected a whole number from 0 to 2"
    own = player.post("/toy/v1/coins/penny", json={"sides": 1})
    assert (own.status_code, own.json()) == (418, {"oops": "the coin penny has 1 sides", "code": "NoSides"})
    # The other API still answers the same family with 400.
    assert player.get("/getaction/none").status_code == 400


def test_an_answer_may_depend_on_the_headers_of_the_request(player: httpx.Client) -> None:
    answer = player.post("/toy/v1/coins/penny", json={"sides": 1}, headers={"X-Toy-Errors": "body"})
    assert (answer.status_code, answer.json()["code"]) == (200, "NoSides")


def test_a_fault_of_the_server_tells_nothing_of_itself(server: Server, player: httpx.Client) -> None:
    answer = player.post("/toy/v1/coins/broken", json={"sides": 2})
    assert answer.status_code == 500
    assert answer.json() == {"oops": "internal error; see the server log", "code": "Internal"}
    server.wait_until(lambda: "the mint is closed" in server.errors())


@pytest.mark.parametrize("path", ["/toy/v1", "/toy/v1/", "/toy/v1/nothing", "/toy/v1/coins/penny/more"])
def test_what_is_not_there_below_its_prefix_is_its_to_refuse(player: httpx.Client, path: str) -> None:
    answer = player.get(path)
    assert answer.status_code == 404
    assert answer.json()["oops"] == f"there is nothing at {path}"


@pytest.mark.parametrize("path", ["/toy", "/toy/v2/menu", "/TOY/V1/menu"])
def test_what_is_not_below_it_is_not(player: httpx.Client, path: str) -> None:
    assert player.get(path).json()["error"]["code"] == 404


def test_a_method_that_a_path_lacks_is_told_with_those_it_has(player: httpx.Client) -> None:
    answer = player.get("/toy/v1/coins/penny")
    assert (answer.status_code, answer.json()["code"]) == (405, "MethodNotAllowed")
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_a_preflight_names_its_headers(server: Server) -> None:
    answer = httpx.options(f"{server.url}/toy/v1/menu", headers={"Origin": "https://a.example"})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type, Authorization, X-Toy-Token"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"


def test_a_server_with_an_api_that_is_not_there_says_so_and_does_not_start(
    mongo: str, database_name: str, tmp_path: Path
) -> None:
    server = Server(tmp_path, settings_for(mongo, database_name) | {"http.dialects": ["streamingbandits"]})
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        env=server.environment, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1
    assert "http.dialects: there is no API 'streamingbandits'" in done.stderr
    assert "Traceback" not in done.stderr
