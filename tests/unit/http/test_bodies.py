"""Bodies that are decoded in two steps."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from app.errors import InvalidParameter
from app.http.bodies import json_body, json_item

HOSTILE = b"[" + b"[]," * 1_900_000 + b"1]"


@pytest.mark.parametrize("body", [b"[]", b"7", b"{", b'{"a": NaN}', b"\xff", b"[" * 100_000, b'{"a":' + b"[" * 100_000])
@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_a_body_is_a_json_object(body: bytes, names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidParameter, match=r"^body: expected"):
        json_body(body, *names)
    assert json_body(b"", *names) == {}


def test_values_come_as_json_has_them() -> None:
    value: dict[str, Any] = {"a": {"b": [1, 2.5, None]}, "t": "ü\n", "n": None}
    body = json_body(msgspec.json.encode(value))
    assert dict(body) == value
    assert body.get("missing", 3) == 3


def test_a_value_that_cannot_be_read_is_named() -> None:
    for body in (b'{"context": 1e999}', b'{"context": "\xff"}', b'{"context": "\\ud800"}'):
        with pytest.raises(InvalidParameter, match="expected JSON"):
            json_body(body)["context"]


def test_what_the_body_has_wins_over_what_was_given() -> None:
    body = json_body(b'{"key": "of the body"}', "key", "context", given={"key": "of the query", "context": "{}"})
    assert dict(body) == {"key": "of the body", "context": "{}"}


def test_only_names_that_are_known_are_kept() -> None:
    assert dict(json_body(b'{"key": "k", "other": 1}', "key")) == {"key": "k"}


def test_a_long_value_is_refused_by_its_name_and_a_long_text_is_not() -> None:
    body = json_body(b'{"context": [' + b"1," * 200_000 + b'1], "script": "' + b"x" * 300_000 + b'"}')
    with pytest.raises(InvalidParameter, match=r"^context: expected at most 256 KiB"):
        body["context"]
    assert len(body["script"]) == 300_000


def test_an_opened_object_may_hold_long_texts() -> None:
    body = json_body(b'{"scripts": {"get_action": "' + b"#" * 300_000 + b'"}, "start": "empty"}')
    body.open("scripts")
    body.open("start")
    body.open("missing")
    assert len(body["scripts"]["get_action"]) == 300_000
    assert body["start"] == "empty"


@pytest.mark.parametrize("content", [b"{}", b"null", b"[]", b"[1,2,3]", b'"ab"', b"7"])
def test_a_batch_is_an_array_within_bounds(content: bytes) -> None:
    with pytest.raises(InvalidParameter, match="items: expected an array of 1 to 2 objects"):
        json_body(b'{"items": ' + content + b"}").items_at("items", 2)


def test_items_are_decoded_one_by_one() -> None:
    items = json_body(b'{"items": [{"context": {"n": 1}, "x": 1}, 7]}').items_at("items", 2)
    found = [json_item(item, "context") for item in items]
    assert found == [{"context": {"n": 1}}, None]
    with pytest.raises(InvalidParameter, match="items"):
        json_body(b"{}").items_at("items", 2)


@pytest.mark.parametrize(
    "body",
    [
        b'{"username": "x", "p": ' + HOSTILE + b"}",
        b'{"items": ' + HOSTILE + b"}",
        b"{" + b",".join(b'"%x": 1' % number for number in range(500_000)) + b"}",
    ],
    ids=["lists", "items", "names"],
)
def test_megabytes_of_small_values_cost_little(body: bytes) -> None:
    """Decoded whole they take some 700 ms; the fastest of five is not slowed down by other work."""
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        fields = json_body(body, "key", "items", "username")
        for name in ("items", "key"):
            with pytest.raises((InvalidParameter, KeyError)):
                fields.items_at(name, 1_000) if name == "items" else fields[name]
        taken.append(time.perf_counter() - started)
    assert min(taken) < 0.1
