"""The hash that assigns users: vectors of the public scheme, and what the ranges promise."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.bucketing import (
    NOT_IN,
    assign,
    bucket,
    choose,
    fnv32a,
    in_namespace,
    namespace_position,
    preview,
    propensity,
    ranges,
    shares,
)


def by_definition(text: str) -> int:
    """The hash in one expression over big numbers, reduced only at the end of each step."""
    h = 0x811C9DC5
    for point in map(ord, text):
        h = (h ^ point) * (2**24 + 2**8 + 0x93) % 2**32
    return h


def test_the_hash_has_its_vectors() -> None:
    found = [fnv32a(text) for text in ("", "a", "checkout", "日本")]
    assert found == [2166136261, 3826002220, 1303992121, 1610399396]
    # Of the hash's authors: over bytes, so for ASCII the same as over code points.
    assert [fnv32a(text) for text in ("b", "foobar")] == [0xE70C2DE5, 0xBF9CF968]


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_the_hash_is_its_definition(text: str) -> None:
    assert fnv32a(text) == by_definition(text)


@pytest.mark.parametrize(
    ("seed", "unit", "second", "first"),
    [
        ("exp-7", "user-42", 0.1202, 0.022),
        ("exp-7", "anna@example.org", 0.604, 0.336),
        ("0198f2ab", "Zürich", 0.4064, 0.56),
        ("salt/1", "日本-7", 0.0526, 0.744),
    ],
)
def test_buckets_have_their_vectors(seed: str, unit: str, second: float, first: float) -> None:
    assert (bucket(seed, unit), bucket(seed, unit, 1)) == (second, first)


def test_previews_have_their_vectors() -> None:
    found = preview("exp-7", 2)
    assert found.counts == {-1: 0, 0: 508, 1: 492}
    assert [arm for _, arm in found.first[:10]] == [1, 1, 1, 0, 0, 0, 1, 0, 1, 1]
    assert (found.in_experiment, len(found.first)) == (1.0, 25)
    weighted = preview("exp-7", 3, 0.8, [0.2, 0.3, 0.5])
    assert weighted.counts == {-1: 188, 0: 157, 1: 250, 2: 405}
    assert [arm for _, arm in weighted.first[:10]] == [-1, 2, 2, -1, 1, -1, 2, 0, 2, 2]
    assert weighted.in_experiment == pytest.approx(0.812)


def test_a_preview_replaces_weights_that_do_not_fit() -> None:
    equal = preview("exp-7", 2)
    assert preview("exp-7", 2, weights=[1.0]) == preview("exp-7", 2, weights=[0.5, 0.6]) == equal


def test_namespaces_have_their_vectors() -> None:
    assert namespace_position("checkout", "user-42") == 0.877
    assert namespace_position("checkout", "user-43") == 0.05
    assert in_namespace("checkout", "user-43", 0.05, 0.1)
    assert not in_namespace("checkout", "user-43", 0.0, 0.05)


@settings(deadline=None, derandomize=True)
@given(st.text(), st.text(), st.lists(st.integers(1, 100), min_size=2, max_size=6), st.floats(0, 1), st.floats(0, 1))
def test_raising_the_coverage_moves_nobody(seed: str, unit: str, split: list[int], one: float, two: float) -> None:
    weights = shares(split)
    less, more = sorted([one, two])
    before = assign(seed, unit, weights, less)
    assert before in (NOT_IN, assign(seed, unit, weights, more))


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.floats(0, 1))
def test_ranges_never_overlap(split: list[int], coverage: float) -> None:
    owned = ranges(shares(split), coverage)
    assert all(end <= start + 1e-12 for (_, end), (start, _) in pairwise(owned))
    assert owned[0][0] == 0.0
    assert sum(end - start for start, end in owned) == pytest.approx(coverage)


def test_users_spread_as_the_propensities_say() -> None:
    weights, coverage, n = [0.2, 0.3, 0.5], 0.9, 40_000
    for version in (1, 2):
        counts = Counter(assign("spread", f"u{i}", weights, coverage, version) for i in range(n))
        for arm in (-1, 0, 1, 2):
            share = propensity(arm, weights, coverage)
            assert abs(counts[arm] / n - share) < 3 * (share * (1 - share) / n) ** 0.5 + 1e-3  # buckets are discrete


def test_seeds_assign_independently() -> None:
    n = 20_000
    both = Counter((assign("one", f"u{i}", [0.5, 0.5]), assign("two", f"u{i}", [0.5, 0.5])) for i in range(n))
    for pair in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert abs(both[pair] / n - 0.25) < 3 * (0.25 * 0.75 / n) ** 0.5


def test_a_bucket_outside_all_ranges_is_in_none() -> None:
    assert choose(0.25, [(0.0, 0.25), (0.5, 0.75)]) == NOT_IN
    assert choose(0.5, [(0.0, 0.25), (0.5, 0.75)]) == 1


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="hash_version must be 1 or 2"):
        bucket("s", "u", 3)
    with pytest.raises(ValueError, match="coverage must be from 0 to 1"):
        ranges([0.5, 0.5], 1.5)
    with pytest.raises(ValueError, match="weights must be 0 or more"):
        ranges([0.5, -0.5])
    with pytest.raises(ValueError, match="split must be numbers above 0"):
        shares([1, 0])
    with pytest.raises(ValueError, match="sample_size must be 1 or more"):
        preview("s", 2, sample_size=0)
