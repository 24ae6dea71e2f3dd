"""What simulations came to: a table of arms, and how reward, pulls and regret grew; over repetitions with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from typing import Any

from app.sandbox.protocol import Arm, Point

# Of a normal distribution; the repetitions of one seed are independent.
INTERVAL = 1.96
TOTAL = ""  # the regret of all arms together; no arm has an empty name


@dataclass(frozen=True)
class Result:
    """What one repetition came to."""

    arms: list[Arm]
    points: list[Point]


def arms_table(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """By arm: pulls and mean reward over all repetitions, and the share of the pulls."""
    total = sum(arm.pulls for result in results for arm in result.arms)
    table: dict[str, dict[str, Any]] = {}
    for name in _names(results):
        same = [arm for result in results for arm in result.arms if arm.name == name]
        pulls, rewards = sum(arm.pulls for arm in same), sum(arm.rewards for arm in same)
        mean = sum(arm.total for arm in same) / rewards if rewards else None
        row: dict[str, Any] = {"pulls": pulls, "share": pulls / total, "mean_reward": mean}
        if mean is not None and rewards > 1:
            spread = max(0.0, sum(arm.squares for arm in same) - rewards * mean * mean) / (rewards - 1)
            row["standard_error"] = sqrt(spread / rewards)
        table[name] = row
    return table


def series(results: Sequence[Result], expected: Mapping[str, float] | None = None) -> dict[str, Any]:
    """By draws: reward and pulls so far, and regret where the ``expected`` reward of each arm is known."""
    grown: dict[str, Any] = {
        "draws": [point.draws for point in results[0].points],
        **_curve("reward", results, lambda result, point: point.total),
        "pulls": {
            name: _means([[_pulls(result, point).get(name, 0) for point in result.points] for result in results])
            for name in _names(results)
        },
    }
    if expected and all(name in expected for name in _names(results)):
        grown |= _curve("regret", results, lambda result, point: regret(_pulls(result, point), expected))
    return grown


def regret(pulls: Mapping[str, int], expected: Mapping[str, float]) -> float:
    """How much less reward is to be expected of these pulls than of the best arm alone.

    >>> regret({"A": 10, "B": 5}, {"A": 0.3, "B": 0.5})
    2.0
    """
    best = max(expected.values())
    return sum(count * (best - expected[name]) for name, count in pulls.items())


def regrets(results: Sequence[Result], expected: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """What each arm cost and, under ``TOTAL``, all of them: mean over the repetitions, half the width of its interval.

    Empty where an arm's expected reward is unknown.
    """
    if not expected or any(name not in expected for name in _names(results)):
        return {}
    pulls = [{arm.name: arm.pulls for arm in result.arms} for result in results]
    found = {name: _interval([regret({name: one.get(name, 0)}, expected) for one in pulls]) for name in _names(results)}
    return {**found, TOTAL: _interval([regret(one, expected) for one in pulls])}


def _curve(name: str, results: Sequence[Result], value: Callable[[Result, Point], float]) -> dict[str, list[float]]:
    curves = [[value(result, point) for point in result.points] for result in results]
    if len(curves) == 1:
        return {name: curves[0]}
    found = [_interval(list(values)) for values in zip(*curves, strict=True)]
    return {
        name: [mean for mean, _ in found],
        f"{name}_low": [mean - half for mean, half in found],
        f"{name}_high": [mean + half for mean, half in found],
    }


def _interval(values: list[float]) -> tuple[float, float]:
    mean = fmean(values)
    if len(values) == 1:
        return mean, 0.0
    return mean, INTERVAL * sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def _means(curves: list[list[int]]) -> list[float] | list[int]:
    return curves[0] if len(curves) == 1 else [fmean(values) for values in zip(*curves, strict=True)]


def _pulls(result: Result, point: Point) -> dict[str, int]:
    return {arm.name: count for arm, count in zip(result.arms, point.pulls, strict=False)}


def _names(results: Sequence[Result]) -> list[str]:
    return sorted({arm.name for result in results for arm in result.arms})
