"""The parts of simulations that need neither worker nor database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.experiment import Experiment
from app.domain.moments import moments_of
from app.domain.simulation import ArmTotals, Plan, SeriesPoint
from app.errors import InvalidParameter
from app.services.simulation_records import ChunkWriter, described, done_draws, summed_up
from app.services.simulation_runs import require_possible
from app.simulation.repetitions import RepetitionProgress
from tests.unit.storage.test_documents import DATE

SCRIPTS = dict.fromkeys(("get_action", "get_reward", "set_reward"), "pass")
EXPERIMENT = Experiment(id="e", key="k", owner="o", created=DATE, revision=3, name="n", **SCRIPTS)


def written(rows: list[tuple[str, int]]) -> list[tuple[int, list[str]]]:
    """The chunks that rows of these sizes are stored in."""
    chunks: list[tuple[int, list[str]]] = []

    async def store(first: int, some: list[str]) -> None:
        chunks.append((first, some))

    async def write() -> None:
        writer = ChunkWriter(store)
        for row, size in rows:
            await writer.add(row, size)
        await writer.flush()
        await writer.flush()

    asyncio.run(write())
    return chunks


def test_rows_are_stored_in_chunks_that_are_numbered_by_their_first_row() -> None:
    assert written([]) == []
    assert written([("a", 1), ("b", 1)]) == [(0, ["a", "b"])]
    many = written([(str(number), 1) for number in range(4_500)])
    assert [(first, len(rows)) for first, rows in many] == [(0, 2_000), (2_000, 2_000), (4_000, 500)]
    assert [row for _, rows in many for row in rows] == [str(number) for number in range(4_500)]


def test_no_chunk_is_larger_than_a_document_may_be() -> None:
    largest = 4 * 2**20  # of one theta
    chunks = written([(str(number), largest) for number in range(7)])
    assert max(len(rows) for _, rows in chunks) * largest < 16 * 2**20
    assert [first for first, _ in chunks] == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("plan", "parameter"),
    [
        (Plan(n=0), "N"),
        (Plan(n=10_000_001), "N"),
        (Plan(repeat=0), "repeat"),
        (Plan(repeat=1_001), "repeat"),
        (Plan(n=1_000_000, repeat=101), "repeat"),
        (Plan(repeat=2, commit=True), "repeat"),
        (Plan(repeat=2, log_stats=True), "repeat"),
    ],
)
def test_a_plan_that_cannot_be_names_its_parameter(plan: Plan, parameter: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        require_possible(EXPERIMENT, plan)
    assert raised.value.detail["parameter"] == parameter


@pytest.mark.parametrize("missing", SCRIPTS)
def test_a_script_that_is_missing_is_named(missing: str) -> None:
    lacking: dict[str, Any] = {**vars(EXPERIMENT), missing: " \n"}
    with pytest.raises(InvalidParameter, match=missing):
        require_possible(Experiment(**lacking), Plan())


def test_possible_plans_pass() -> None:
    for plan in (Plan(), Plan(n=10_000_000, repeat=10), Plan(n=1, commit=True, log_stats=True)):
        require_possible(EXPERIMENT, plan)


def test_a_run_is_described_by_what_was_asked_for() -> None:
    run = described(EXPERIMENT, Plan(n=5, seed=7, current=True, expected={"A": 0.5}), "s")
    assert (run.id, run.exp_id, run.user, run.revision) == ("s", "e", "o", 3)
    assert (run.n, run.seed, run.repeat, run.start, run.status, run.done) == (5, 7, 1, "current", "running", 0)
    assert run.expected == {"A": 0.5}


def repetition(pulls: int, total: float) -> RepetitionProgress:
    """A repetition that has pulled one arm so often."""
    progress = RepetitionProgress()
    progress.done = pulls
    rewards = [1.0] * int(total) + [0.0] * (pulls - int(total))
    progress.arms = [ArmTotals("A", pulls, moments_of(rewards))]
    progress.points = [SeriesPoint(pulls, total, [pulls])]
    return progress


def test_results_are_of_all_repetitions_that_have_begun() -> None:
    one, two = repetition(10, 4.0), repetition(10, 6.0)
    assert done_draws({0: one, 1: two}) == 20
    alone = asyncio.run(summed_up({0: one}, {}))
    assert (alone.arms["A"]["pulls"], alone.regret) == (10, None)
    assert alone.arms["A"]["mean_reward"] == pytest.approx(0.4)
    both = asyncio.run(summed_up({1: two, 0: one}, {"A": 0.5}))
    assert both.arms["A"]["mean_reward"] == pytest.approx(0.5)
    assert both.series is not None
    assert both.series["reward"] == [5.0]
    assert (both.regret, both.regret_low, both.regret_high) == (0.0, None, None)
    assert (both.regret_median, both.regret_q05, both.regret_q95) == (0.0, 0.0, 0.0)


def test_nothing_has_come_of_a_run_that_has_not_begun() -> None:
    results = asyncio.run(summed_up({}, {"A": 0.5}))
    assert results.arms == {}
    assert results.regret is None
    assert done_draws({}) == 0
