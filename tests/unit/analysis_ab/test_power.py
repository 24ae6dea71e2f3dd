"""Planned sizes have the planned power, by simulation of the test that was planned."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
import pytest

from app.analysis.ab.compare.counts import CountsTest
from app.analysis.ab.compare.equivalence import EquivalenceTest
from app.analysis.ab.compare.fisher import FisherTest
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.proportions import ProportionsTest
from app.analysis.ab.compare.ratio import RatioTest
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.live.cuped import CovariateSums, CupedModel
from app.analysis.ab.plan.clusters import ClusterDesign
from app.analysis.ab.plan.counts import counts_sample_size
from app.analysis.ab.plan.cuped import CupedPlan
from app.analysis.ab.plan.equivalence import equivalence_sample_size
from app.analysis.ab.plan.fisher import fisher_power
from app.analysis.ab.plan.mann_whitney import mann_whitney_sample_size
from app.analysis.ab.plan.means import means_sample_size
from app.analysis.ab.plan.precision import precision_sample_size
from app.analysis.ab.plan.proportions import detectable_proportion_difference, proportions_sample_size
from app.analysis.ab.statistic import EventCount, Proportion, RatioMean, SampleMean

RUNS = 2000


def as_planned(found: list[bool] | np.ndarray, power: float) -> bool:
    return abs(np.mean(found) - power) <= 3 * sqrt(power * (1 - power) / len(found))


@pytest.mark.parametrize("arms", [2, 4])
def test_proportions(arms: int) -> None:
    rng = np.random.default_rng(60)
    n = proportions_sample_size(0.2, 15, 0.05, 0.9, arms).per_variant
    draws = rng.binomial(n, [0.2, 0.23], (RUNS, 2)).tolist()
    level = 0.05 / (arms - 1)
    found = [ProportionsTest(Proportion(x, n), Proportion(y, n), level).result().is_significant for x, y in draws]
    assert as_planned(found, 0.9)


def test_the_detectable_effect_is_detected_as_often() -> None:
    rng, n = np.random.default_rng(61), 3000
    difference = detectable_proportion_difference(0.3, n, 0.05, 0.8)
    assert difference is not None
    draws = rng.binomial(n, [0.3, 0.3 + difference], (RUNS, 2)).tolist()
    found = [ProportionsTest(Proportion(x, n), Proportion(y, n)).result().is_significant for x, y in draws]
    assert as_planned(found, 0.8)


def test_means() -> None:
    rng = np.random.default_rng(62)
    n = means_sample_size(3.0, 0.5).per_variant
    found = [
        WelchTest(SampleMean.of(rng.normal(5, 3, n)), SampleMean.of(rng.normal(5.5, 3, n))).result().is_significant
        for _ in range(RUNS)
    ]
    assert as_planned(found, 0.8)


def test_ratios() -> None:
    rng = np.random.default_rng(63)

    def arm(n: int, ratio: float) -> RatioMean:
        x = rng.poisson(4, n) + 1.0
        return RatioMean.of(rng.normal(ratio * x, 1.0), x)

    sd = arm(200_000, 0.5).sd  # what a researcher would know from before
    n = means_sample_size(sd, 0.05).per_variant
    found = [RatioTest(arm(n, 0.5), arm(n, 0.55)).result().is_significant for _ in range(RUNS)]
    assert as_planned(found, 0.8)


def test_counts() -> None:
    """The exact test is discrete, so its power is that of the plan or a little less; many events make it small."""
    rng = np.random.default_rng(64)
    n = counts_sample_size(2.0, 15, 1.0).sample_size.per_variant
    draws = rng.poisson([2.0 * n, 2.3 * n], (RUNS, 2)).tolist()
    found = [CountsTest(EventCount(x, n), EventCount(y, n)).result().is_significant for x, y in draws]
    assert as_planned(found, 0.8)


def test_fisher_by_all_tables() -> None:
    """Another way to the same power: the test itself on all tables of 12 and 12."""
    from scipy.stats import binom

    n, p1, p2 = 12, 0.2, 0.7
    weights = np.outer(binom.pmf(range(n + 1), n, p1), binom.pmf(range(n + 1), n, p2))
    significant = [
        [FisherTest(Proportion(x, n), Proportion(y, n)).result().is_significant for y in range(n + 1)]
        for x in range(n + 1)
    ]
    assert fisher_power(p1, p2, n, 0.05) == pytest.approx(float(weights[np.array(significant)].sum()), rel=1e-12)


def test_mann_whitney() -> None:
    rng = np.random.default_rng(65)
    n = mann_whitney_sample_size(1.0, 0.5).per_variant
    found = [
        MannWhitneyTest(rng.normal(0, 1, n), rng.normal(0.5, 1, n)).result().is_significant for _ in range(RUNS // 2)
    ]
    assert as_planned(found, 0.8)


def test_equivalence() -> None:
    rng = np.random.default_rng(66)
    n = equivalence_sample_size(1.0, 0.25).per_variant
    found = [
        EquivalenceTest(SampleMean.of(rng.normal(0, 1, n)), SampleMean.of(rng.normal(0, 1, n)), 0.25)
        .result()
        .is_significant
        for _ in range(RUNS)
    ]
    assert as_planned(found, 0.8)


def test_cuped() -> None:
    rng = np.random.default_rng(67)
    plan = CupedPlan(2.0, 1.0, 0.7)
    n = means_sample_size(plan.adjusted_sd, 0.4).per_variant

    def arm(effect: float) -> CovariateSums:
        x = rng.normal(0, 1, n)
        return CovariateSums.of(effect + plan.theta * x + rng.normal(0, plan.adjusted_sd, n), x)

    models = [CupedModel((arm(0.0), arm(0.4))) for _ in range(RUNS)]
    assert as_planned([model.result(1).is_significant for model in models], 0.8)
    assert np.mean([float(model.theta[0]) for model in models]) == pytest.approx(plan.theta, abs=0.02)
    assert np.mean([model.variance_reduction_pct for model in models]) == pytest.approx(49, abs=1)


def test_clusters() -> None:
    """Analysed by cluster means, a plan with the design effect has its power; without it, it hasn't."""
    rng, design = np.random.default_rng(68), ClusterDesign(20, 0.1)
    n = means_sample_size(1.0, 0.2).per_variant

    def power(clusters: int) -> np.ndarray:
        spread = sqrt(design.icc + (1 - design.icc) / design.size)
        first, second = rng.normal(0, spread, (2, RUNS, clusters))
        return np.array(
            [
                WelchTest(SampleMean.of(x), SampleMean.of(y + 0.2)).result().is_significant
                for x, y in zip(first, second, strict=True)
            ]
        )

    # The t test of few clusters loses a little of the z plan's power.
    assert as_planned(power(design.clusters(n) + 1), 0.8)
    assert np.mean(power(ceil(n / design.size))) < 0.5


def test_precision() -> None:
    """An interval of a difference is as wide as planned."""
    n = precision_sample_size(0.3 * 0.7, 0.02).per_variant
    rng = np.random.default_rng(69)
    widths = []
    for x, y in rng.binomial(n, 0.3, (200, 2)).tolist():
        found = ProportionsTest(Proportion(x, n), Proportion(y, n)).result()
        widths.append(0.5 * (found.ci_upper - found.ci_lower))
    assert np.mean(widths) == pytest.approx(0.02, rel=0.01)
