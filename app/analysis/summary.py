"""What simulations came to: a table of arms, and how reward, pulls and regret grew; over repetitions with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean
from typing import Any

from app.analysis.intervals import Z_95, mean_interval
from app.domain.simulation import ArmTotals, RepetitionResult

INTERVAL = Z_95
TOTAL = ""  # the regret of all arms together; no arm has an empty name


def arms_table(
    results: Sequence[RepetitionResult], expected: Mapping[str, float] | None = None
) -> dict[str, dict[str, Any]]:
    """By arm: pulls and mean reward over all repetitions, the share of the pulls, and the regret where it is known."""
    same: dict[str, list[ArmTotals]] = {name: [] for name in _names(results)}
    for result in results:
        for arm in result.arms:
            same[arm.name].append(arm)
    total = sum(arm.pulls for arms in same.values() for arm in arms)
    lost = regrets(results, expected or {})
    table: dict[str, dict[str, Any]] = {}
    for name, arms in same.items():
        pulls, rewards = sum(arm.pulls for arm in arms), sum(arm.rewards for arm in arms)
        mean = sum(arm.total for arm in arms) / rewards if rewards else None
        row: dict[str, Any] = {"pulls": pulls, "share": pulls / total, "mean_reward": mean}
        if mean is not None and rewards > 1:
            spread = max(0.0, sum(arm.squares for arm in arms) - rewards * mean * mean) / (rewards - 1)
            row["standard_error"] = sqrt(spread / rewards)
        table[name] = row | spread_of("regret", lost.get(name), len(results))
    return table


def spread_of(name: str, found: tuple[float, float] | None, repetitions: int) -> dict[str, float]:
    """A mean and, over repetitions, both ends of its interval; nothing if it is not known."""
    if found is None:
        return {}
    mean, half = found
    return {name: mean} | ({f"{name}_low": mean - half, f"{name}_high": mean + half} if repetitions > 1 else {})


def series(results: Sequence[RepetitionResult], expected: Mapping[str, float] | None = None) -> dict[str, Any]:
    """By draws: reward and pulls so far, and regret where the ``expected`` reward of each arm is known.

    Where repetitions are still under way it goes as far as all of those that have begun.
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
    """How much less reward is to be expected of these pulls than of the best arm alone.

    >>> regret({"A": 10, "B": 5}, {"A": 0.3, "B": 0.5})
    2.0
    """
    best = max(expected.values())
    return sum(count * (best - expected[name]) for name, count in pulls.items())


def regrets(results: Sequence[RepetitionResult], expected: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """What each arm cost and, under ``TOTAL``, all of them: mean over the repetitions, half the width of its interval.

    Empty where an arm's expected reward is unknown.
    """
    names = _names(results)
    if not expected or not names or any(name not in expected for name in names):
        return {}
    pulls = [{arm.name: arm.pulls for arm in result.arms} for result in results]
    found = {name: mean_interval([regret({name: one.get(name, 0)}, expected) for one in pulls]) for name in names}
    return {**found, TOTAL: mean_interval([regret(one, expected) for one in pulls])}


def _curve(name: str, curves: list[list[float]]) -> dict[str, list[float]]:
    if len(curves) <= 1:
        return {name: curves[0] if curves else []}
    found = [mean_interval(list(values)) for values in zip(*curves, strict=True)]
    return {
        name: [mean for mean, _ in found],
        f"{name}_low": [mean - half for mean, half in found],
        f"{name}_high": [mean + half for mean, half in found],
    }


def _means(curves: list[list[int]]) -> list[float] | list[int]:
    return curves[0] if len(curves) == 1 else [fmean(values) for values in zip(*curves, strict=True)]


def _counts(result: RepetitionResult, name: str, length: int) -> list[int]:
    """The pulls of an arm at each point; those before its first one do not know it yet."""
    place = next((place for place, arm in enumerate(result.arms) if arm.name == name), None)
    if place is None:
        return [0] * length
    return [point.pulls[place] if place < len(point.pulls) else 0 for point in result.points[:length]]


def _names(results: Sequence[RepetitionResult]) -> list[str]:
    return sorted({arm.name for result in results for arm in result.arms})
