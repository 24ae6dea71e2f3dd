"""Documents become rows: what is missing has its default, and what a newer server added does not disturb."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import bson
import pytest

from app.domain.decision import Decision, Reward
from app.domain.experiment import Experiment
from app.domain.rows import ErrorRow, LogRow, RunResults, RunUpdate, StoredRun
from app.storage.decisions import decision_of
from app.storage.documents import Chunk, from_document
from app.storage.experiments import experiment_of
from app.storage.rewards import reward_of
from app.storage.simulations import changed_fields, document_of, run_of

DATE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DECISION = Decision("d", "e", DATE, {"x": 1}, {"arm": "A"}, 0.5, revision=2, seq=7, epoch=1)
REWARD = Reward("r", "e", 8, DATE, {"x": 1}, {"arm": "A"}, {"value": 1}, revision=2)
EXPERIMENT = Experiment(id="e", key="k", owner="o", created=DATE, name="n", get_action="self.action = {}")
ERROR = ErrorRow("f", "e", DATE, 2, "get_action", 3, "no", "oops()")
RUN = StoredRun(
    id="s", exp_id="e", user="o", date=DATE, revision=1, n=9, seed=4, repeat=1, start="empty", commit=False,
    log_stats=True, status="done", done=9, expected={"A.b": 0.5, "$c": 1.0}, alive=DATE,
    results=RunResults({"A.b": {"pulls": 4}}, {"draws": [9], "reward": [4.0], "pulls": {"A.b": [4]}}, regret=1.5),
)  # fmt: skip


def document(row: Any) -> dict[str, Any]:
    """The row as it is stored, with a field that this server does not know."""
    fields = {name: value for name, value in vars(row).items() if name != "id" and value is not None}
    return {"_id": row.id, **fields, "added_later": {"by": "a newer server"}}


@pytest.mark.parametrize(
    ("read", "row"),
    [
        (decision_of, DECISION),
        (decision_of, dataclasses.replace(DECISION, propensity=None)),
        (reward_of, REWARD),
        (experiment_of, EXPERIMENT),
        (lambda stored: from_document(ErrorRow, stored), ERROR),
        (lambda stored: from_document(LogRow, stored), LogRow("l", "e", DATE, "d", {"any": "thing"})),
    ],
)
def test_what_a_newer_server_added_is_ignored(read: Any, row: Any) -> None:
    assert read(document(row)) == row


def test_a_run_is_read_as_it_was_stored_whatever_its_arms_are_called() -> None:
    stored = document_of(RUN)
    assert run_of(bson.decode(bson.encode(stored | {"added_later": 1}), _AWARE)) == RUN
    assert not [key for key in _keys(stored) if "." in key or key.startswith("$")]


_AWARE: Any = bson.codec_options.CodecOptions(tz_aware=True)


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for part in value.values() for key in _keys(part))]
    return [key for part in value for key in _keys(part)] if isinstance(value, list) else []


def test_a_run_that_has_just_begun_has_no_results() -> None:
    begun = dataclasses.replace(RUN, results=RunResults(), alive=None, expected={})
    assert run_of(document_of(begun)) == begun


def test_an_update_sets_only_what_has_changed() -> None:
    assert changed_fields(RunUpdate()) == {}
    assert changed_fields(RunUpdate(done=0)) == {"done": 0}
    assert changed_fields(RunUpdate(results=RunResults({"A": {"pulls": 1}}))) == {"arms": [{"arm": "A", "pulls": 1}]}


def test_a_document_that_lacks_what_has_no_default_is_refused() -> None:
    with pytest.raises(TypeError):
        from_document(LogRow, {"_id": "l", "exp_id": "e"})


def test_a_chunk_is_full_when_its_rows_are_many_or_large() -> None:
    many, large = Chunk(), Chunk()
    assert [many.add({"_id": number}) for number in range(500)] == [False] * 499 + [True]
    assert not large.add({"text": "x" * 2**22})
    assert large.add({"text": "x" * 2**22})
