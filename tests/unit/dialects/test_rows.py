"""Rows as StreamingBandit's clients read them."""

from __future__ import annotations

import dataclasses

from app.dialects.streamingbandit.wire import action_row, error_row, log_row, revision_row, reward_row, run_row
from app.domain.experiment import ExperimentSpec
from app.domain.ids import seed_of
from app.domain.rows import LogRow, Revision, RevisionListItem, RunResults
from tests.unit.storage.test_documents import DATE, DECISION, ERROR, REWARD, RUN

WHEN = "2026-01-02T03:04:05+00:00"


def test_a_decision_shows_what_is_needed_to_make_it_again() -> None:
    assert action_row(DECISION) == {
        "date": WHEN, "context": {"x": 1}, "action": {"arm": "A"}, "propensity": 0.5, "revision": 2, "seq": 7,
        "epoch": 1, "status": "logged", "seed": seed_of("getaction", "d"),
    }  # fmt: skip
    assert action_row(dataclasses.replace(DECISION, status="pending"))["advice_id"] == "d"
    assert "propensity" not in action_row(dataclasses.replace(DECISION, propensity=None))


def test_only_the_default_reward_of_a_time_out_is_called_one() -> None:
    assert reward_row(REWARD) == {
        "date": WHEN, "seq": 8, "context": {"x": 1}, "action": {"arm": "A"}, "reward": {"value": 1}, "revision": 2,
        "seed": seed_of("setreward", "r"),
    }  # fmt: skip
    assert reward_row(dataclasses.replace(REWARD, default=True))["default"] is True


def test_what_a_script_logged_stands_beside_its_date() -> None:
    row = log_row(LogRow("l", "e", DATE, "d", {"any": 1, "date": "of mine"}))
    assert row == {"any": 1, "date": WHEN, "logged_date": "of mine"}


def test_an_error_has_all_columns() -> None:
    columns = {"date": WHEN, "script": "get_action", "line": 3, "message": "no", "source": "oops()", "revision": 2}
    assert error_row(ERROR) == columns
    without = dataclasses.replace(ERROR, line=None, source=None)
    assert error_row(without) == columns | {"line": None, "source": None}


def test_a_revision_has_its_scripts_where_they_were_read() -> None:
    listed = {"revision": 2, "date": WHEN, "user": "o", "note": "better"}
    assert revision_row(RevisionListItem(2, DATE, "o", "better")) == listed
    spec = ExperimentSpec("n", get_action="pass", default_reward={"value": 0})
    assert revision_row(Revision(2, DATE, "o", "better", spec)) == listed | vars(spec)


def test_a_run_shows_what_is_known_of_it() -> None:
    begun = dataclasses.replace(RUN, status="running", results=RunResults(), expected={}, alive=None)
    assert run_row(begun) == {
        "date": WHEN, "run": "s", "status": "running", "done": 9, "n": 9, "seed": 4, "repeat": 1, "start": "empty",
        "commit": False, "log_stats": True, "revision": 1, "arms": {},
    }  # fmt: skip
    assert run_row(RUN) == run_row(begun) | {
        "status": "done", "expected": RUN.expected, "arms": RUN.results.arms, "series": RUN.results.series,
        "regret": 1.5,
    }  # fmt: skip
    assert run_row(dataclasses.replace(RUN, logged=True)) == run_row(RUN) | {"file": "s"}
