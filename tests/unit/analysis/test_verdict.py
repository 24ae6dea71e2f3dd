"""The limits of the verdict, each from both sides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.analysis.ope.verdict import Circumstances, judge
from app.analysis.ope.weights import Weights

GOOD = Weights(1.0, 2.0, 0.001, 1000.0, 1000.0, 500.0, 0.0, 0.1, 0.0, None, None)
FOUND = Circumstances(n=10_000)


def told(weights: Weights = GOOD, found: Circumstances = FOUND) -> tuple[str, list[str]]:
    verdict = judge(weights, found)
    return verdict.verdict, [reason.code for reason in verdict.reasons]


def test_nothing_speaks_against_good_weights() -> None:
    assert told() == ("answer", [])


@pytest.mark.parametrize(
    ("code", "figure", "fine", "caution", "refuse"),
    [
        ("ess", "ess", 400.0, 399.9, 99.9),
        ("ess", "design_ess", 400.0, 100.0, 99.9),
        ("one_row", "max_share", 0.03, 0.031, 0.101),
        ("one_row", "max_share", 0.03, 0.1, 0.101),
        ("mean_weight", "mean", 1.049, 1.051, 1.101),
        ("mean_weight", "mean", 0.951, 0.949, 0.899),
        ("unsupported", "unsupported", 0.001, 0.0011, 0.051),
        ("few_events", "event_ess", 20.0, 19.9, None),
    ],
)
def test_limits_of_weights(code: str, figure: str, fine: float, caution: float, refuse: float | None) -> None:
    assert told(replace(GOOD, **{figure: fine})) == ("answer", [])
    assert told(replace(GOOD, **{figure: caution})) == ("caution", [code])
    if refuse is not None:
        assert told(replace(GOOD, **{figure: refuse})) == ("refuse", [code])


@pytest.mark.parametrize(
    ("code", "field", "fine", "caution", "refuse"),
    [
        ("few_rows", "n", 1000, 999, 99),
        ("no_propensity", "no_propensity", 0, 1, 102),
        ("missing", "missing", 0, 100, 101),
        ("monte_carlo", "mc_share", 0.1, 0.11, 0.51),
    ],
)
def test_limits_of_circumstances(code: str, field: str, fine: float, caution: float, refuse: float) -> None:
    assert told(found=replace(FOUND, **{field: fine})) == ("answer", [])
    assert told(found=replace(FOUND, **{field: caution})) == ("caution", [code])
    assert told(found=replace(FOUND, **{field: refuse})) == ("refuse", [code])


def test_missing_rewards_do_not_refuse_whoever_chose_what_they_count_as() -> None:
    for choice in ("drop", "default", "bounds"):
        assert told(found=replace(FOUND, missing=5000, missing_as=choice)) == ("caution", ["missing"])


def test_what_refuses_comes_first() -> None:
    verdict = judge(replace(GOOD, event_ess=1.0, ess=50.0), replace(FOUND, n=500))
    assert [reason.code for reason in verdict.reasons] == ["ess", "few_rows", "few_events"]
    assert verdict.reasons[0].text == (
        "500 decisions are worth 50 for this candidate: the log rarely did what it would do."
    )
    assert verdict.reasons[0].limit == 100
