"""Thetas as scripts get them."""

from __future__ import annotations

from app.domain.theta import ThetaKey, as_theta, joined


def of(key: str | None, value: str | None, theta: dict[str, int]) -> tuple[ThetaKey, dict[str, int]]:
    """A theta of an experiment under that key and value."""
    return ThetaKey("e", "_theta", key, value), theta


def test_only_a_theta_without_a_key_that_is_alone_comes_bare() -> None:
    assert as_theta([]) == {}
    assert as_theta([of(None, None, {"n": 1})]) == {"n": 1}
    assert as_theta([of("arm", None, {"n": 1})]) == {"arm": {"n": 1}}
    assert as_theta([of(None, None, {"n": 1}), of("arm", "a", {"n": 2})]) == {"": {"n": 1}, "arm:a": {"n": 2}}


def test_two_different_keys_never_meet() -> None:
    names = [("a:b", "c"), ("a", "b:c"), ("a\\", "b:c"), ("a\\:b", "c"), ("a", "b\\:c")]
    assert len({joined(*name) for name in names}) == len(names)


def test_the_bare_theta_is_a_copy() -> None:
    theta = {"n": 1}
    as_theta([of(None, None, theta)])["n"] = 2
    assert theta == {"n": 1}
