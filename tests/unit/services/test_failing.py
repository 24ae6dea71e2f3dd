"""When an experiment counts as failing: by its latest calls, not by one of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.services.failing import LATEST, Failing, failing_of
from app.storage.recent_calls import RecentCall

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def calls(outcomes: str) -> list[RecentCall]:
    """Calls in their order: "x" failed, "." did not."""
    return [
        RecentCall(
            script="get_action",
            date=NOON + timedelta(seconds=second),
            revision=1,
            message=f"error {second}" if outcome == "x" else None,
            line=second,
        )
        for second, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "failed", "counted"),
    [
        ("x", 1, 1),
        ("xxx", 3, 3),
        ("..xxx", 3, 5),
        (20 * "." + 11 * "x", 11, LATEST),
        (50 * "x" + 9 * "." + 11 * "x", 11, LATEST),
    ],
)
def test_it_fails_if_more_than_half_of_the_latest_calls_did(outcomes: str, failed: int, counted: int) -> None:
    newest = outcomes.rindex("x")
    expected = Failing("get_action", failed, counted, f"error {newest}", newest)
    assert failing_of("get_action", reversed(calls(outcomes))) == expected


@pytest.mark.parametrize("outcomes", ["", ".", "x.", 50 * "x" + 10 * ".x", 50 * "x" + 20 * ".", 10 * "." + 10 * "x"])
def test_it_does_not_if_half_of_them_were_fine(outcomes: str) -> None:
    assert failing_of("get_action", calls(outcomes)) is None
