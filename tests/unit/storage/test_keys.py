"""Every key comes back from MongoDB's documents as it was, and what was stored before is read as it was."""

from __future__ import annotations

from typing import Any

import bson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.storage.client import _PLAIN as PLAIN
from app.storage.keys import escaped, restored

KEYS = st.text(alphabet='$%.\0025ax\\"é', max_size=6) | st.text(st.characters(codec="utf-8"), max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def through_bson(value: Any) -> Any:
    return bson.decode(bson.encode({"theta": value}), PLAIN)["theta"]


@settings(max_examples=400, derandomize=True, deadline=None)
@given(VALUES)
def test_any_value_comes_back_with_its_keys(value: Any) -> None:
    assert restored(through_bson(escaped(value))) == value


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.dictionaries(st.text(alphabet="%.025ax$", max_size=6).filter(lambda key: key[:1] != "$"), st.integers(0, 9)))
def test_keys_that_could_be_stored_before_are_stored_as_before(value: dict[str, int]) -> None:
    assert escaped(value) == restored(value) == value


def test_what_looks_like_a_reference_of_the_driver_is_none() -> None:
    value = {"a": [{"$ref": "x", "$id": 1, "$db": "y"}]}
    assert restored(through_bson(escaped(value))) == value


def test_keys_that_differ_stay_different() -> None:
    keys = ["$", "$$", "\0", "$\0", "%00", "$%00", "$%", "$%25", "$%2500", "a\0", "a%00"]
    assert len(escaped(dict.fromkeys(keys, 1))) == len(keys)
    assert restored(escaped(dict.fromkeys(keys, 1))) == dict.fromkeys(keys, 1)


def test_values_are_never_changed_and_a_value_without_such_keys_is_not_copied() -> None:
    value = {"text": "$5 \0 off", "list": ["$x"]}
    assert escaped(value) == value
    plain = {"a": {"b.c": [1, 2]}}
    assert escaped(plain) is plain
    assert restored(plain) is plain
