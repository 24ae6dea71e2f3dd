"""What callers get wrong: each mistake is answered clearly, and the server goes on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.engine.test_exactly_once import ADVISED
from tests.servers import COUNTING, Researcher, Server

BAD_OBJECTS = {
    "no JSON": ("{arm", "expected JSON"),
    "nothing closed": ('{"a": [1', "expected JSON"),
    "NaN": ('{"a": NaN}', "expected JSON"),
    "Infinity": ('{"a": Infinity}', "expected JSON"),
    "minus Infinity": ('{"a": -Infinity}', "expected JSON"),
    "too large a number": ('{"a": 1e999}', "expected JSON"),
    "a number of 5,000 digits": ('{"a": ' + "9" * 5_000 + "}", "JSON"),
    "65 bits": ('{"a": {"b": 9223372036854775808}}', "a.b needs more than 64 bits"),
    "65 bits below zero": ('{"a": -9223372036854775809}', "a needs more than 64 bits"),
    "an array": ("[1, 2]", "expected a JSON object, got an array"),
    "a string": ('"text"', "expected a JSON object, got text"),
    "a number": ("3", "expected a JSON object, got a number"),
    "true": ("true", "expected a JSON object, got true or false"),
    "null": ("null", "expected a JSON object, got null"),
    "nested 60 deep": ('{"a":' * 60 + "1" + "}" * 60, "nested deeper than 50"),
    "nested 5,000 deep": ('{"a":' * 5_000 + "1" + "}" * 5_000, "nested"),
    "half a surrogate pair": ('{"a": "\\ud800"}', "expected JSON"),
    "half a surrogate pair in a key": ('{"\\udc00": 1}', "expected JSON"),
    "two objects": ("{}{}", "expected JSON"),
    "300 KB": (json.dumps({"a": "x" * 300_000}), "256 KiB"),
}


def refused(answer: httpx.Response, parameter: str, message: str) -> None:
    """A 400 in the one shape of errors, which names the parameter and what was expected."""
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "detail"}
    assert error["code"] == 400
    assert parameter in error["message"]
    assert message in error["message"]


@pytest.fixture(scope="module")
def researcher(server: Server) -> Iterator[Researcher]:
    """One for all tests here: none of them leaves anything behind that another could mind."""
    with server.researcher() as somebody:
        yield somebody


@pytest.fixture(scope="module")
def anybody(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.mark.parametrize(("text", "message"), BAD_OBJECTS.values(), ids=BAD_OBJECTS.keys())
def test_a_context_that_cannot_be_taken_is_refused(researcher: Researcher, text: str, message: str) -> None:
    experiment = researcher.create(**COUNTING)
    url, parameters = f"/getaction/{experiment.id}", {"key": experiment.key, "context": text}
    refused(researcher.http.post(url, json=parameters), "context", message)
    if len(text) < 20_000:
        refused(researcher.http.get(url, params=parameters), "context", message)
    assert experiment.summary()["get_action_calls"] == 0


@pytest.mark.parametrize(("text", "message"), BAD_OBJECTS.values(), ids=BAD_OBJECTS.keys())
def test_a_reward_or_action_that_cannot_be_taken_is_refused(researcher: Researcher, text: str, message: str) -> None:
    experiment = researcher.create(**COUNTING)
    url, given = f"/setreward/{experiment.id}", {"key": experiment.key}
    refused(researcher.http.post(url, json={**given, "action": {"arm": "a"}, "reward": text}), "reward", message)
    refused(researcher.http.post(url, json={**given, "action": text, "reward": {}}), "action", message)
    assert experiment.summary()["set_reward_calls"] == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "got an array"),
        (3, "got a number"),
        (False, "got true or false"),
        ({"a": 2**63}, "64 bits"),
        ({"a": "x" * 300_000}, "256 KiB"),
        ({"a": [0] * 200_000}, "256 KiB"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_objects_in_a_body_are_held_to_the_same_bounds(researcher: Researcher, value: Any, message: str) -> None:
    experiment = researcher.create(**COUNTING)
    answer = researcher.http.post(f"/getaction/{experiment.id}", json={"key": experiment.key, "context": value})
    refused(answer, "context", message)
    body = {"key": experiment.key, "action": {"arm": "a"}, "reward": value}
    refused(researcher.http.post(f"/setreward/{experiment.id}", json=body), "reward", message)


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b"{", b"\xff\xfe", b"{}{}", b'{"key": NaN}', b"null", b"[" * 99_999]
)
def test_a_body_that_is_no_object_is_refused(researcher: Researcher, body: bytes) -> None:
    experiment = researcher.create(**COUNTING)
    for url in (f"/getaction/{experiment.id}", f"/setreward/{experiment.id}", "/exp", "/login"):
        if url == "/login" and len(body) > 16 * 2**10:
            assert researcher.http.post(url, content=body).status_code == 413
            continue
        refused(researcher.http.post(url, content=body), "body", "")


def test_a_form_body_is_refused_as_no_json(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    answer = researcher.http.post(f"/getaction/{experiment.id}", data={"key": experiment.key})
    refused(answer, "body", "JSON")


def test_what_is_missing_is_named(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    get = researcher.http.get
    refused(get(f"/getaction/{experiment.id}"), "key", "is missing")
    refused(get(f"/getaction/{experiment.id}", params={"key": ""}), "key", "is missing")
    refused(get(f"/setreward/{experiment.id}", params={"reward": "{}", "action": "{}"}), "key", "is missing")
    refused(experiment.set_reward(action={}), "reward", "is missing")
    refused(experiment.set_reward(reward={}), "action", "advice_id")
    refused(researcher.http.post(f"/getaction/{experiment.id}", json={"key": 3}), "key", "expected text")
    refused(researcher.http.post(f"/getaction/{experiment.id}", json={"key": "x" * 2_000}), "key", "at most")


def test_a_wrong_key_and_an_unknown_experiment_are_answered_alike(researcher: Researcher) -> None:
    experiment, another = researcher.create(**COUNTING), researcher.create(**COUNTING)
    bodies = set()
    for exp_id, key in [
        (experiment.id, "wrong"),
        (experiment.id, experiment.key.upper() + "x"),
        (experiment.id, another.key),
        (experiment.id, "schlüssel"),
        ("000000000000", experiment.key),
        (experiment.id.upper() + "Z", experiment.key),
    ]:
        for call in ("getaction", "setreward"):
            answer = researcher.http.get(f"/{call}/{exp_id}", params={"key": key, "reward": "{}", "action": "{}"})
            assert answer.status_code == 401
            bodies.add(answer.text)
    assert len(bodies) == 1


def test_words_in_paths_are_read_in_any_case_and_ids_exactly(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    assert researcher.http.get(f"/GetAction/{experiment.id}", params={"key": experiment.key}).status_code == 200
    assert researcher.http.get(f"/STATS/{experiment.id}/Summary").status_code == 200
    assert researcher.http.get(f"/exp/{experiment.id.upper()}x").status_code == 401


@pytest.mark.parametrize(
    "url", ["/", "/nothing", "/getaction", "/getaction/", "/getaction/a/b", "/exp/a%00b", "/exp/ä"]
)
def test_what_is_not_there_is_answered_in_json(anybody: httpx.Client, url: str) -> None:
    answer = anybody.get(url)
    assert answer.status_code in (302, 404)
    if answer.status_code == 404:
        assert answer.json()["error"]["code"] == 404


def test_methods_that_a_call_does_not_know_are_answered_in_json(anybody: httpx.Client) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        answer = anybody.request(method, "/getaction/0123")
        assert answer.status_code == 405
        assert answer.json()["error"]["code"] == 405


def test_text_that_is_no_utf_8_is_refused(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    for name in ("key", "context"):
        answer = researcher.http.get(f"/getaction/{experiment.id}?{name}=%ff%fe")
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == 400


def test_any_text_that_json_has_comes_back_as_it_went_in(researcher: Researcher) -> None:
    experiment = researcher.create(get_action="self.action = self.context")
    context = {
        "ключ": "значение",
        "emoji": "🎲",
        "nul": "a\0b",
        "a.b": 1,
        "": {"": []},
        "big": 2**63 - 1,
        "tiny": 5e-324,
    }
    assert experiment.get_action(context=context).json() == {"action": context}


def sent(server: Server, request: bytes, body_bytes: int = 0) -> bytes:
    """The first line of what comes back for raw bytes; empty if the connection is closed without a word."""
    where = urlsplit(server.url)
    with socket.create_connection((str(where.hostname), int(where.port or 0)), 60) as connection:
        try:
            connection.sendall(request)
            for _ in range(0, body_bytes, 65_536):
                connection.sendall(b" " * 65_536)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it does not read what it will not take
        try:
            return connection.recv(65_536).split(b"\r\n")[0]
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /getaction/x?context=" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: t\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: t\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: t\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /exp HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"\x00" * 1_000 + b"\r\n\r\n",
    ],
    ids=["long query", "long header", "many headers", "nonsense", "negative length", "bad chunk", "NUL"],
)
def test_requests_that_are_too_large_or_no_http_are_refused_and_the_server_goes_on(
    server: Server, anybody: httpx.Client, request_: bytes
) -> None:
    first = sent(server, request_)
    assert first == b"" or first.split(b" ")[1] in (b"400", b"414", b"431")
    assert anybody.get("/health").status_code == 200


def test_a_body_beyond_the_bound_is_refused_and_the_server_goes_on(server: Server, anybody: httpx.Client) -> None:
    size = 9 * 2**20
    head = b"POST /exp HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size
    first = sent(server, head, size)
    assert first == b"" or first.split(b" ")[1] in (b"400", b"413")
    assert anybody.get("/health").status_code == 200


def test_a_query_of_sixty_thousand_characters_is_taken(researcher: Researcher) -> None:
    experiment = researcher.create(get_action="self.action['size'] = len(self.context['a'])")
    assert experiment.get_action(context={"a": "x" * 60_000}).json() == {"action": {"size": 60_000}}


BAD_EXPERIMENTS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "1 to 200"),
    ({"name": 3}, "name", "1 to 200"),
    ({"name": None}, "name", ""),
    ({"name": "x" * 201}, "name", "1 to 200"),
    ({"name": "a\0b"}, "name", "control characters"),
    ({"get_action": 3}, "get_action", "a Python script"),
    ({"get_action": ["x"]}, "get_action", "a Python script"),
    ({"hourly_theta": "perhaps"}, "hourly_theta", "true or false"),
    ({"advice_id": 7}, "advice_id", "true or false"),
    ({"advice_id": True}, "delta_hours", "is missing"),
    ({"advice_id": True, "delta_hours": 1}, "default_reward", "is missing"),
    ({"delta_hours": "soon"}, "delta_hours", "number of hours"),
    ({"delta_hours": -1}, "delta_hours", "number of hours"),
    ({"delta_hours": 100_000}, "delta_hours", "number of hours"),
    ({"delta_hours": "nan"}, "delta_hours", "number of hours"),
    ({"delta_hours": "inf"}, "delta_hours", "number of hours"),
    ({"delta_hours": True}, "delta_hours", "number of hours"),
    ({"default_reward": "[1]"}, "default_reward", "object"),
    ({"default_reward": "{"}, "default_reward", "object"),
    ({"default_reward": [1]}, "default_reward", "object"),
    ({"default_reward": "{'a': {1, 2}}"}, "default_reward", ""),
    ({"default_reward": "{1: 2}"}, "default_reward", ""),
    ({"default_reward": "{'a': __import__('os')}"}, "default_reward", "object"),
    ({"default_reward": {"a": 2**64}}, "default_reward", "64 bits"),
]


@pytest.mark.parametrize(("body", "parameter", "message"), BAD_EXPERIMENTS, ids=lambda value: str(value)[:60])
def test_an_experiment_that_cannot_be_is_refused(
    researcher: Researcher, body: dict[str, Any], parameter: str, message: str
) -> None:
    there = researcher.http.get("/exp").json()
    refused(researcher.http.post("/exp", json={"name": "an experiment", **body}), parameter, message)
    assert researcher.http.get("/exp").json() == there


def test_an_experiment_without_a_name_is_refused(researcher: Researcher) -> None:
    refused(researcher.http.post("/exp", json={}), "name", "is missing")


@pytest.mark.parametrize(
    ("script", "line", "column"),
    [("x = 1\ny = = 2\n", 2, 5), ("def f(:\n", 1, 7), ("if True:\npass", 2, 1), ("x = '", 1, 5), ("a\0b", 1, 1)],
    ids=repr,
)
def test_a_script_that_does_not_compile_is_refused_with_its_place(
    researcher: Researcher, script: str, line: int, column: int
) -> None:
    answer = researcher.http.post("/exp", json={"name": "broken", "get_context": "x = 1", "get_action": script})
    refused(answer, "get_action", f"line {line}")
    detail = answer.json()["error"]["detail"]
    assert (detail["script"], detail["line"], detail["column"]) == ("get_action", line, column)
    assert [fault["script"] for fault in detail["errors"]] == ["get_action"]


@pytest.mark.parametrize(
    "script", ["(" * 5_000 + ")" * 5_000, "-" * 200_000 + "1", "x = " + "9" * 5_000, "(" * 100_000]
)
def test_a_script_made_to_harm_the_compiler_is_refused(researcher: Researcher, script: str) -> None:
    refused(researcher.http.post("/exp", json={"name": "nested", "set_reward": script}), "set_reward", "")
    assert researcher.http.get("/user").status_code == 200


def test_a_script_of_300_kb_is_refused(researcher: Researcher) -> None:
    refused(researcher.http.post("/exp", json={"name": "long", "get_action": "#" * 300_000}), "get_action", "256 KiB")


def test_an_edit_is_held_to_the_same_rules_and_leaves_all_as_it_was(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    before = researcher.http.get(f"/exp/{experiment.id}").json()
    refused(experiment.replace(get_action="x ="), "get_action", "line 1")
    refused(experiment.replace(delta_hours=-1), "delta_hours", "hours")
    assert researcher.http.get(f"/exp/{experiment.id}").json() == before


def test_a_name_is_taken_once_per_owner(researcher: Researcher, other: Researcher) -> None:
    first, second = researcher.create("the name"), researcher.create("another name")
    refused(researcher.http.post("/exp", json={"name": "the name"}), "name", "in use")
    refused(researcher.http.put(f"/exp/{second.id}", json={"name": "the name"}), "name", "in use")
    assert researcher.http.put(f"/exp/{first.id}", json={"name": "the name"}).status_code == 200
    other.create("the name")


def test_an_advised_experiment_refuses_an_advice_id_that_is_no_text(researcher: Researcher) -> None:
    experiment = researcher.create(**ADVISED)
    body: dict[str, Any] = {"key": experiment.key, "reward": {}}
    for advice in (3, ["a"], {"a": 1}, "x" * 200, True):
        answer = researcher.http.post(f"/setreward/{experiment.id}", json={**body, "advice_id": advice})
        refused(answer, "advice_id", "expected")
