"""What is looked at again and again keeps its level: looks, always-valid p-values, the sample ratio."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from app.analysis.ab.live.comparison import compare_live
from app.analysis.ab.live.decision import decide
from app.analysis.ab.live.design import LiveDesign
from app.analysis.ab.live.evidence import NEARLY_COMPLETE, ArmEvidence, Evidence
from app.analysis.ab.live.look import TakenLook, take_look
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.sequential.boundaries import SequentialBoundary
from app.analysis.ab.sequential.looks import due_look, information_fraction, spending_boundaries
from app.analysis.ab.sequential.mixture import MixtureTest
from app.analysis.ab.srm import LEVEL, SrmTest, log_bayes_factor
from app.analysis.ab.statistic import Proportion

RUNS = 2000


def errors(level: float, runs: int) -> float:
    return 3 * sqrt(level * (1 - level) / runs)


def paths(rng: np.random.Generator, times: np.ndarray, runs: int, drift: float = 0.0) -> np.ndarray:
    """Z at the times: runs in rows."""
    steps = np.diff(np.concatenate([[0.0], times]))
    score = np.cumsum(rng.normal(drift * steps, np.sqrt(steps), (runs, len(times))), axis=1)
    return score / np.sqrt(times)


@pytest.mark.parametrize("shape", ["obrien_fleming", "pocock"])
@pytest.mark.parametrize("looks", [2, 5, 20])
def test_looks_keep_their_level_and_their_power(looks: int, shape: str) -> None:
    rng, runs = np.random.default_rng(1), 20_000
    boundary = SequentialBoundary(looks, 0.05, shape)
    times, z = np.array(boundary.times), np.array(boundary.z)
    false = (np.abs(paths(rng, times, runs)) >= z).any(axis=1).mean()
    assert abs(false - 0.05) <= errors(0.05, runs)
    drift = (1.959963985 + 0.841621234) * sqrt(boundary.inflation(0.8))
    found = (np.abs(paths(rng, times, runs, drift)) >= z).any(axis=1).mean()
    assert abs(found - 0.8) <= errors(0.8, runs)


def test_looks_that_come_at_any_time_keep_their_level() -> None:
    rng, runs = np.random.default_rng(2), 20_000
    for times in ([0.22, 0.5, 0.61, 0.97, 1.0], [0.39, 0.41, 0.79, 0.81, 1.0]):
        z = np.array(spending_boundaries(SequentialBoundary(5), times))
        false = (np.abs(paths(rng, np.array(times), runs)) >= z).any(axis=1).mean()
        assert abs(false - 0.05) <= errors(0.05, runs)


def test_a_last_look_that_comes_late_keeps_the_level() -> None:
    rng, runs, times = np.random.default_rng(9), 40_000, [0.5, 1.6]
    z = np.array(spending_boundaries(SequentialBoundary(2, 0.05, "pocock"), times))
    false = (np.abs(paths(rng, np.array(times), runs)) >= z).any(axis=1).mean()
    assert abs(false - 0.05) <= errors(0.05, runs)


def test_polling_the_boundary_does_not_keep_the_level() -> None:
    """Why looks are taken once each: the same boundary at 200 polls."""
    rng, runs = np.random.default_rng(3), 4000
    times = np.arange(1, 201) / 200
    z = SequentialBoundary(5).constant / np.sqrt(times)
    assert (np.abs(paths(rng, times, runs)) >= z).any(axis=1).mean() > 0.05 + errors(0.05, runs)


def test_an_always_valid_p_keeps_its_level_when_polled() -> None:
    rng, n = np.random.default_rng(4), np.unique(np.geomspace(20, 20_000, 150).astype(int))
    steps = np.diff(np.concatenate([[0], n]))
    means = np.cumsum(rng.normal(0, np.sqrt(2.0 * steps), (RUNS, len(n))), axis=1) / n
    smallest = np.array(
        [
            min(MixtureTest(d, 2.0 / m, 0.05**2).p_value for d, m in zip(row, n.tolist(), strict=True))
            for row in means[:400].tolist()
        ]
    )
    assert (smallest < 0.05).mean() <= 0.05 + errors(0.05, 400)
    # All runs at once, by the formula that the loop above has shown to be the same.
    v, tau = 2.0 / n, 0.05**2
    log_ratio = -0.5 * np.log((v + tau) / v) + tau * means**2 / (2 * v * (v + tau))
    assert np.exp(-log_ratio[:400].max(axis=1)).clip(max=1) == pytest.approx(smallest)
    assert (log_ratio.max(axis=1) > np.log(1 / 0.05)).mean() <= 0.05 + errors(0.05, RUNS)


def test_the_interval_that_may_be_watched_covers_at_all_times() -> None:
    rng, n = np.random.default_rng(5), np.unique(np.geomspace(50, 5000, 40).astype(int))
    steps, truth, runs = np.diff(np.concatenate([[0], n])), 0.3, 1000
    means = truth + np.cumsum(rng.normal(0, np.sqrt(2.0 * steps), (runs, len(n))), axis=1) / n
    missed = sum(
        any(MixtureTest(d, 2.0 / m, 0.01, 0.1).interval.excludes(truth) for d, m in zip(row, n.tolist(), strict=True))
        for row in means.tolist()
    )
    assert missed / runs <= 0.1 + errors(0.1, runs)


def test_the_sample_ratio_may_be_watched() -> None:
    rng = np.random.default_rng(6)
    shares = np.array([0.3, 0.7])
    arrivals = rng.random((RUNS, 40, 50)) < 0.3  # 40 polls, 50 persons between them
    first = np.cumsum(arrivals.sum(axis=2), axis=1)
    totals = 50 * np.arange(1, 41)
    highest = np.array(
        [max(log_bayes_factor([x, t - x], shares) for x, t in zip(row, totals, strict=True)) for row in first[:300]]
    )
    for level in (LEVEL, 0.05, 0.2):
        assert (highest > np.log(1 / level)).mean() <= level + errors(level, 300)


def test_a_mismatch_is_found() -> None:
    assert log_bayes_factor([5000, 5600], np.array([0.5, 0.5])) > np.log(1 / LEVEL)


def design(looks: int) -> LiveDesign:
    return LiveDesign(
        PlanRequest(
            metric_type="binary",
            baseline_value=0.3,
            mde_pct=20,
            expected_daily_traffic=1000,
            audience_share_in_test=1.0,
            traffic_split=(1, 1),
            variants_count=2,
            n_looks=looks,
        )
    )


def crossed(plan: LiveDesign, rng: np.random.Generator, rates: tuple[float, float], folds: int = 60) -> int:
    """Fold persons in batches of random sizes until the plan is complete; 1 or -1 if a look crossed."""
    counts, n, looks = np.zeros(2, dtype=int), np.zeros(2, dtype=int), list[TakenLook]()
    while True:
        batch = rng.multinomial(rng.integers(1, 4 * plan.planned_n // folds), [0.5, 0.5])
        n += batch
        counts += rng.binomial(batch, rates)
        fraction = information_fraction(int(n[0]), [int(n[1])], plan.planned_n)
        if due_look(fraction, plan.request.n_looks, looks[-1].look if looks else 0) is None:
            continue  # a poll between two looks: nothing may come of it
        arms = [Proportion(int(x), int(m)) for x, m in zip(counts, n, strict=True)]
        look = take_look(plan, looks, fraction, [compare_live(plan, *arms).z])
        assert look is not None
        looks.append(look)
        if look.crossed or look.look == plan.request.n_looks:
            return look.crossing(1)


def test_live_looks_keep_level_and_power_from_sums_to_crossing() -> None:
    plan, rng, runs = design(4), np.random.default_rng(7), 300
    false = np.mean([crossed(plan, rng, (0.3, 0.3)) != 0 for _ in range(runs)])
    assert abs(false - 0.05) <= errors(0.05, runs)
    found = np.mean([crossed(plan, rng, (0.3, 0.36)) == 1 for _ in range(runs)])
    assert abs(found - 0.8) <= errors(0.8, runs)


@pytest.mark.slow
@pytest.mark.parametrize("looks", [2, 6])
def test_live_looks_keep_level_and_power_over_many_runs(looks: int) -> None:
    rng, runs, plan = np.random.default_rng(8), 2000, design(looks)
    false = np.mean([crossed(plan, rng, (0.3, 0.3)) != 0 for _ in range(runs)])
    assert abs(false - 0.05) <= errors(0.05, runs)
    found = np.mean([crossed(plan, rng, (0.3, 0.36)) == 1 for _ in range(runs)])
    assert abs(found - 0.8) <= errors(0.8, runs)


def shipped(plan: LiveDesign, rng: np.random.Generator, rates: tuple[float, float]) -> bool:
    """Decide at every fold up to the planned size, with one look: whether treatment is ever shipped."""
    counts, n = np.zeros(2, dtype=int), np.zeros(2, dtype=int)
    while True:
        batch = rng.multinomial(plan.planned_n // 10, [0.5, 0.5])
        n += batch
        counts += rng.binomial(batch, rates)
        control, treatment = (Proportion(int(x), int(m)) for x, m in zip(counts, n, strict=True))
        arm = ArmEvidence.of(1, compare_live(plan, control, treatment))
        assert arm is not None
        information = information_fraction(control.n, [treatment.n], plan.planned_n)
        mismatch = SrmTest((control.n, treatment.n), (0.5, 0.5)).result().always_valid_p_value < LEVEL
        found = decide(Evidence((arm,), True, mismatch, information, 1, plan.minimum_worthwhile_effect))
        if found.verdict == "ship":
            return True
        if information >= NEARLY_COMPLETE:
            return False


@pytest.mark.slow
def test_deciding_at_every_fold_keeps_level_and_power() -> None:
    """A win needs the better half of 5 %, or an always-valid p before the end: at most 2.5 and 5 % together."""
    plan, rng, runs = design(1), np.random.default_rng(10), 1000
    false = np.mean([shipped(plan, rng, (0.3, 0.3)) for _ in range(runs)])
    assert false <= 0.05 + errors(0.05, runs)
    found = np.mean([shipped(plan, rng, (0.3, 0.36)) for _ in range(runs)])
    assert found >= 0.78 - errors(0.78, runs)  # read at 95 % of the information
