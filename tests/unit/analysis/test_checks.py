"""The checks of a running experiment."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from app.analysis.arrays import to_json
from app.analysis.checks.check import HealthCheck
from app.analysis.checks.checks import CheckOptions, ChecksResult, check
from app.analysis.checks.choice import arrival, choice
from app.analysis.checks.described import described
from app.analysis.checks.drift import drift
from app.analysis.log import DecisionLog
from app.analysis.scores import arm_scores
from tests.unit.analysis.logs import w_log

LOG = w_log()


def close(value: object) -> object:
    return pytest.approx(value, rel=1e-9)


def one(found: ChecksResult, name: str, arm: str) -> HealthCheck:
    return next(each for each in found.checks if (each.name, each.arm) == (name, arm))


def bernoulli(n: int, arms: float, means: np.ndarray, seed: int = 1) -> DecisionLog:
    """Two arms, "a" with probability ``arms``; means of shape (2,) or (n, 2)."""
    rng = np.random.default_rng(seed)
    chosen = (rng.random(n) >= arms).astype(int)
    p = np.array([arms, 1 - arms])
    reward = (rng.random(n) < np.broadcast_to(means, (n, 2))[np.arange(n), chosen]).astype(float)
    return DecisionLog(("a", "b"), chosen, p[chosen], reward, pmf=np.tile(p, (n, 1)), lo=0.0, hi=1.0)


def test_choice() -> None:
    assert [each.log_evidence for each in choice(LOG)] == close([-1.323876074, -1.108282169, -1.111945365])
    assert not any(each.alarm for each in choice(LOG))


def test_drift() -> None:
    scores = arm_scores(LOG)
    found = drift(scores[:, 1] - scores[:, 0])
    assert (found.q, found.p, found.slope, found.se) == close((5.074287902, 0.8277848869, 0.02166636771, 0.0178632732))
    checks = check(LOG)
    assert one(checks, "drift", "b").value == close(5.074287902)
    assert one(checks, "drift", "b").limit == close(stats.chi2.ppf(0.95, 9))
    assert one(checks, "novelty", "b").p == close(2 * stats.norm.sf(0.02166636771 / 0.0178632732))


def test_a_share_that_is_off_raises_the_alarm_and_keeps_it() -> None:
    """The allocation says .5, the first 5,000 rows had .53, and the next 5,000 made up for it."""
    log = bernoulli(5000, 0.53, np.array([0.5, 0.5]))
    off = replace(log, pmf=np.full((5000, 2), 0.5), propensity=np.full(5000, 0.5))
    assert choice(off)[0].alarm
    made_up = replace(
        off,
        chosen=np.concatenate([off.chosen, 1 - off.chosen]),
        pmf=np.full((10_000, 2), 0.5),
        propensity=np.full(10_000, 0.5),
        reward=np.zeros(10_000),
    )
    assert choice(made_up)[0].log_evidence < 0
    assert choice(made_up)[0].alarm


def test_an_arm_whose_page_breaks_loses_rows() -> None:
    log = bernoulli(4000, 0.5, np.array([0.5, 0.5]))
    lost = (log.chosen == 1) & (np.random.default_rng(2).random(4000) < 0.3)
    assert all(each.alarm for each in arrival(log, ~lost))
    assert not any(each.alarm for each in choice(log))
    holes = log.with_reward(np.where(lost, np.nan, log.reward))
    assert one(check(holes, CheckOptions(expects="always")), "arrival", "b").alarm
    assert all(each.name != "arrival" for each in check(holes).checks)


def test_novelty_that_wears_off_is_found_by_all_three() -> None:
    n = 20_000
    means = np.stack([np.full(n, 0.3), np.linspace(0.8, 0.3, n)], axis=1)
    found = check(bernoulli(n, 0.5, means))
    assert one(found, "novelty", "b").alarm
    assert one(found, "novelty", "b").value == pytest.approx(-0.05, abs=0.01)
    assert one(found, "drift", "b").alarm
    assert one(found, "changed", "b").alarm
    steady = check(bernoulli(n, 0.5, np.array([0.3, 0.8])))
    assert not any(each.alarm for each in steady.checks)


def test_drift_of_steady_effects_has_its_distribution() -> None:
    """p-values of 500 experiments without drift are uniform."""
    rng = np.random.default_rng(8)
    found = [drift(rng.normal(size=500)) for _ in range(500)]
    assert stats.kstest([each.p for each in found if each], "uniform").pvalue > 0.001
    assert stats.kstest([each.slope_p for each in found if each], "uniform").pvalue > 0.001


def test_rates_delays_and_holes_are_described() -> None:
    log = LOG.with_reward(np.where(np.arange(2000) % 2 == 0, np.nan, LOG.reward))
    found = described(log, np.where(log.missing, np.nan, 60.0))
    assert len(found) == 30
    assert sum(each.n for each in found) == 2000
    assert found[0].delay == (60.0, 60.0, 60.0)
    rows = np.arange(200)[LOG.chosen[:200] == 0]
    assert found[0].missing == close((rows % 2 == 0).mean())


def test_edges() -> None:
    empty = check(LOG.rows(slice(0, 0)))
    assert empty.rows == 0
    assert not any(each.alarm for each in empty.checks)
    json.dumps(to_json(empty), allow_nan=False)
    json.dumps(to_json(check(LOG)), allow_nan=False)
    bare = check(replace(LOG, pmf=None))
    assert {each.name for each in bare.checks} == {"drift", "novelty", "changed"}
    with pytest.raises(ValueError, match="pmf"):
        choice(replace(LOG, pmf=None))
    with pytest.raises(ValueError, match="control"):
        check(LOG, CheckOptions(control="z"))
    with pytest.raises(ValueError, match="expects"):
        CheckOptions(expects="never")
