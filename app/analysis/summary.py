"""What simulations came to: a table of arms, and how reward, pulls and regret grew; over repetitions with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import isfinite
from operator import add
from statistics import fmean
from typing import Any

import numpy as np

from app.analysis.intervals import MeanInterval, mean_interval, mean_intervals, quantiles, student, wilson
from app.domain.moments import Moments
from app.domain.simulation import ArmTotals, RepetitionResult

TOTAL = ""  # the regret of all arms together


@dataclass(frozen=True)
class Spread:
    """A mean over repetitions, its interval where it has one, and the repetitions' 5 %, 50 % and 95 % quantiles."""

    mean: float
    interval: MeanInterval | None
    quantiles: list[float]


def arms_table(
    results: Sequence[RepetitionResult], expected: Mapping[str, float] | None = None
) -> dict[str, dict[str, Any]]:
    """Return, by arm, pulls, share of the pulls, mean reward with its interval, and the regret where it is known.

    The rewards of all repetitions are pooled. ``standard_error`` is left out where all rewards are equal, and the
    interval, ``mean_reward_low`` and ``mean_reward_high``, unless the rewards are 0 or 1.
    """
    same: dict[str, list[ArmTotals]] = {name: [] for name in _names(results)}
    for result in results:
        for arm in result.arms:
            same[arm.name].append(arm)
    total = sum(arm.pulls for arms in same.values() for arm in arms)
    lost = regrets(results, expected or {})
    table: dict[str, dict[str, Any]] = {}
    for name, arms in same.items():
        pulls = sum(arm.pulls for arm in arms)
        row = {"pulls": pulls, "share": pulls / total, **_mean_reward(arms)}
        table[name] = row | spread_of("regret", lost.get(name), len(results))
    return table


def _mean_reward(arms: Sequence[ArmTotals]) -> dict[str, float | None]:
    rewards = reduce(add, (arm.rewards for arm in arms), Moments())
    if not rewards.count or not isfinite(rewards.mean):
        return {"mean_reward": None}
    row: dict[str, float | None] = {"mean_reward": rewards.mean}
    if rewards.standard_error is not None:
        row["standard_error"] = rewards.standard_error
    interval = reward_interval(rewards, binary=all(arm.binary for arm in arms))
    if interval is not None:
        row |= {"mean_reward_low": interval.low, "mean_reward_high": interval.high}
    return row


def reward_interval(rewards: Moments, *, binary: bool) -> MeanInterval | None:
    """Return the 95 % interval of a mean reward: Wilson's if the rewards are ``binary`` (0 or 1), else Student's t.

    None if there is no reward, or if they are not binary and all equal.
    """
    if binary and rewards.count and 0 <= rewards.mean <= 1:
        return wilson(rewards.mean * rewards.count, rewards.count)
    return student(rewards)


def spread_of(name: str, found: Spread | None, repetitions: int) -> dict[str, float]:
    """Return a mean as fields ``name``, over repetitions with interval, median and quantiles; nothing if not known."""
    if found is None:
        return {}
    fields = {name: found.mean}
    if repetitions > 1:
        low, median, high = found.quantiles
        fields |= {f"{name}_median": median, f"{name}_q05": low, f"{name}_q95": high}
        if found.interval is not None:
            fields |= {f"{name}_low": found.interval.low, f"{name}_high": found.interval.high}
    return fields


def series(results: Sequence[RepetitionResult], expected: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return, by draws, reward and pulls so far, and regret where the ``expected`` reward of each arm is known.

    Over several repetitions these are means, those of reward and regret with both ends of their intervals. While
    repetitions are under way it goes as far as all of those that have begun.
    """
    begun = [result for result in results if result.points]
    length = min((len(result.points) for result in begun), default=0)
    curves = {name: [_counts(result, name, length) for result in begun] for name in _names(begun)}
    grown: dict[str, Any] = {
        "draws": [point.draws for point in begun[0].points[:length]] if begun else [],
        **_curve("reward", [[point.total for point in result.points[:length]] for result in begun]),
        "pulls": {name: _means(counts) for name, counts in curves.items()},
    }
    if expected and begun and all(name in expected for name in curves):
        best = max(expected.values())
        lost = [[0.0] * length for _ in begun]
        for name, counts in curves.items():
            for regrets, pulls in zip(lost, counts, strict=True):
                for place, count in enumerate(pulls):
                    regrets[place] += count * (best - expected[name])
        grown |= _curve("regret", lost)
    return grown


def regret(pulls: Mapping[str, int], expected: Mapping[str, float]) -> float:
    """Return how much less reward is to be expected of these pulls than of the best arm alone.

    >>> regret({"A": 10, "B": 5}, {"A": 0.3, "B": 0.5})
    2.0
    """
    best = max(expected.values())
    return sum(count * (best - expected[name]) for name, count in pulls.items())


def regrets(results: Sequence[RepetitionResult], expected: Mapping[str, float]) -> dict[str, Spread]:
    """Return the regret of each arm and, under ``TOTAL``, of all of them, over the repetitions.

    Empty where an arm's expected reward is unknown.
    """
    names = _names(results)
    if not expected or not names or any(name not in expected for name in names):
        return {}
    pulls = [{arm.name: arm.pulls for arm in result.arms} for result in results]
    found = {name: _spread([regret({name: one.get(name, 0)}, expected) for one in pulls]) for name in names}
    return {**found, TOTAL: _spread([regret(one, expected) for one in pulls])}


def _spread(values: list[float]) -> Spread:
    return Spread(fmean(values), mean_interval(values), quantiles(values))


def _curve(name: str, curves: list[list[float]]) -> dict[str, list[float]]:
    if len(curves) <= 1:
        return {name: curves[0] if curves else []}
    values = np.array(curves, dtype=float)
    low, high = mean_intervals(values)
    return {name: values.mean(axis=0).tolist(), f"{name}_low": low.tolist(), f"{name}_high": high.tolist()}


def _means(curves: list[list[int]]) -> list[float] | list[int]:
    return curves[0] if len(curves) == 1 else [fmean(values) for values in zip(*curves, strict=True)]


def _counts(result: RepetitionResult, name: str, length: int) -> list[int]:
    """Return the pulls of an arm at each point; points before its first pull do not have it yet."""
    place = next((place for place, arm in enumerate(result.arms) if arm.name == name), None)
    if place is None:
        return [0] * length
    return [point.pulls[place] if place < len(point.pulls) else 0 for point in result.points[:length]]


def _names(results: Sequence[RepetitionResult]) -> list[str]:
    return sorted({arm.name for result in results for arm in result.arms})
