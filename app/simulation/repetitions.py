"""The repetitions of a simulation: their tasks, and how they are run side by side, here or on a Dask cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from app.domain.simulation import MAX_REPEATS, ArmTotals, Plan, RepetitionResult, SeriesPoint
from app.simulation.runner import SimulationTask

T = TypeVar("T")


class Progress(Protocol):
    """How far a repetition is, and what came of it so far: a ``RunningSimulation``, or one on another machine."""

    done: int
    arms: list[ArmTotals]
    points: list[SeriesPoint]


@dataclass
class RepetitionProgress:
    """The progress of a repetition that runs elsewhere; arms and points are empty until it is done."""

    done: int = 0
    arms: list[ArmTotals] = field(default_factory=list)
    points: list[SeriesPoint] = field(default_factory=list)


def tasks_of(
    exp_id: str, plan: Plan, *, call_seconds: float, range_max: int, rows: bool = False
) -> list[SimulationTask]:
    """Return one task for each repetition of the plan; they differ in their seeds.

    ``call_seconds`` and ``range_max`` are the limits of one script; with ``rows`` every draw is shown.
    """
    return [
        SimulationTask(exp_id, plan.n, plan.seed_of(number), rows, call_seconds, range_max, plan.points)
        for number in range(plan.repeat)
    ]


async def run_side_by_side(repeat: int, run: Callable[[int], Awaitable[T]], at_once: int = MAX_REPEATS) -> list[T]:
    """Await ``run(number)`` for each repetition, ``at_once`` at a time, and return what they gave, in order.

    The first failure cancels the others and is raised.
    """
    places = asyncio.Semaphore(at_once)

    async def in_turn(number: int) -> T:
        async with places:
            return await run(number)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(in_turn(number)) for number in range(repeat)]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def results_of(simulations: Iterable[Progress]) -> list[RepetitionResult]:
    """Return what the repetitions came to so far, as copies that no longer change."""
    return [RepetitionResult(list(one.arms), list(one.points)) for one in simulations]


def done_in(simulations: Iterable[Progress]) -> int:
    """Return how many draws have been made in all of them."""
    return sum(one.done for one in simulations)
