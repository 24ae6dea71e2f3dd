"""Repetitions side by side: their tasks, how many run at once, and whose failure is raised."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.moments import Moments
from app.domain.simulation import ArmTotals, Plan, SeriesPoint
from app.simulation.repetitions import RepetitionProgress, done_in, results_of, run_side_by_side, tasks_of


def test_tasks_differ_in_their_seeds_alone() -> None:
    plan = Plan(n=10, seed=7, repeat=3)
    tasks = tasks_of("e", plan, call_seconds=0.5, range_max=100, rows=True)
    assert [task.seed for task in tasks] == ["7", "7/1", "7/2"]
    assert {(task.exp_id, task.n, task.rows, task.call_seconds, task.range_max) for task in tasks} == {
        ("e", 10, True, 0.5, 100)
    }


@pytest.mark.parametrize(("repeat", "at_once"), [(1, 1), (5, 2), (1_000, 3), (4, 100)])
def test_no_more_run_at_once_than_there_are_places(repeat: int, at_once: int) -> None:
    running = most = 0

    async def run(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    assert asyncio.run(run_side_by_side(repeat, run, at_once)) == list(range(repeat))
    assert most == min(repeat, at_once)


def test_the_first_failure_is_raised_and_ends_the_others() -> None:
    ended: list[int] = []

    async def run(number: int) -> None:
        if number == 2:
            raise ValueError("the second")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(ValueError, match="the second"):
        asyncio.run(run_side_by_side(4, run))
    assert sorted(ended) == [0, 1, 3]


def test_results_do_not_change_with_what_goes_on() -> None:
    progress = RepetitionProgress(3, [ArmTotals("a", 3, Moments())], [SeriesPoint(1, 0.0, [1])])
    (result,) = results_of([progress])
    progress.points.append(SeriesPoint(2, 0.0, [2]))
    assert len(result.points) == 1
    assert done_in([progress, progress]) == 6
