"""Intervals hold the truth as often as their level says; exact ones at least as often."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from scipy.stats import binom, nchypergeom_fisher, poisson

from app.analysis.ab.compare.counts import CountsTest, garwood
from app.analysis.ab.compare.equivalence import EquivalenceTest
from app.analysis.ab.compare.hypergeometric import ConditionalLaw
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.newcombe import newcombe
from app.analysis.ab.compare.permutation import PermutationTest
from app.analysis.ab.compare.ratio import RatioTest
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.compare.wilson import wilson
from app.analysis.ab.compare.yuen import YuenTest
from app.analysis.ab.interval import Interval
from app.analysis.ab.live.cuped import CovariateSums, CupedModel
from app.analysis.ab.live.strata import StratifiedTest, Stratum
from app.analysis.ab.statistic import EventCount, Proportion, RatioMean, SampleMean

RUNS = 2000
ALPHA = 0.1

Rng = np.random.Generator


def of(result: ComparisonResult) -> Interval:
    return Interval(result.ci_lower, result.ci_upper, result.ci_level)


def welch(rng: Rng) -> tuple[Interval, float]:
    arms = SampleMean.of(rng.normal(5, 1, 12)), SampleMean.of(rng.normal(7, 3, 25))
    return of(WelchTest(*arms, ALPHA).result()), 2.0


def equivalence(rng: Rng) -> tuple[Interval, float]:
    arms = SampleMean.of(rng.normal(5, 1, 30)), SampleMean.of(rng.normal(5.2, 2, 40))
    return of(EquivalenceTest(*arms, 1.0, ALPHA / 2).result()), 0.2


def ratio(rng: Rng) -> tuple[Interval, float]:
    arms = []
    for n, slope in ((400, 0.3), (600, 0.5)):
        x = rng.poisson(4, n) + 1.0
        arms.append(RatioMean.of(rng.normal(slope * x, 1.0), x))
    return of(RatioTest(*arms, ALPHA).result()), 0.2


def yuen(rng: Rng) -> tuple[Interval, float]:
    return of(YuenTest(rng.standard_t(2, 40), 1 + 2 * rng.standard_t(2, 60), ALPHA).result()), 1.0


def shift(rng: Rng) -> tuple[Interval, float]:
    return of(MannWhitneyTest(rng.logistic(0, 1, 60), rng.logistic(0.5, 1, 80), ALPHA).result()), 0.5


def cuped(rng: Rng) -> tuple[Interval, float]:
    arms = []
    for n, effect in ((12, 0.0), (15, 1.5)):
        x = rng.normal(0, 1, (n, 2))
        arms.append(CovariateSums.of(effect + x @ [1.0, -0.5] + rng.normal(0, 1, n), x))
    return of(CupedModel(tuple(arms), ALPHA).result(1)), 1.5


def strata(rng: Rng) -> tuple[Interval, float]:
    cells = []
    for mean, n in ((0.0, 80), (10.0, 120)):
        cells.append(
            Stratum(
                str(mean),
                SampleMean.of(rng.normal(mean, 1, n)),
                SampleMean.of(rng.normal(mean + (1 if mean else 2), 2, n)),
            )
        )
    found = StratifiedTest(tuple(cells), ALPHA).result()
    return Interval(found.ci_lower, found.ci_upper, found.ci_level), 0.4 * 2 + 0.6 * 1


def difference_of_proportions(rng: Rng) -> tuple[Interval, float]:
    x, y = rng.binomial([300, 500], [0.2, 0.3])
    return newcombe(Proportion(int(x), 300), Proportion(int(y), 500), ALPHA), 0.1


@pytest.mark.parametrize(
    "draw",
    [welch, equivalence, ratio, yuen, shift, cuped, strata, difference_of_proportions],
    ids=lambda draw: draw.__name__,
)
def test_intervals_cover_at_their_level(draw: Callable[[Rng], tuple[Interval, float]]) -> None:
    rng = np.random.default_rng(50)
    found = [draw(rng) for _ in range(RUNS)]
    assert all(interval.level == pytest.approx(1 - ALPHA) for interval, _ in found)
    covered = np.mean([not interval.excludes(truth) for interval, truth in found])
    assert abs(covered - (1 - ALPHA)) <= 3 * sqrt(ALPHA * (1 - ALPHA) / RUNS)


def test_bootstrap_intervals_come_near_their_level() -> None:
    """A percentile interval of 30 values is known to be somewhat too short."""
    rng = np.random.default_rng(51)
    runs = 400
    found = [of(PermutationTest(rng.normal(0, 1, 30), rng.normal(1, 1, 40), ALPHA).result()) for _ in range(runs)]
    covered = np.mean([not interval.excludes(1.0) for interval in found])
    assert 0.86 - 3 * sqrt(0.1 * 0.9 / runs) < covered < 0.9 + 3 * sqrt(0.1 * 0.9 / runs)


def test_few_ranks_cover_at_least_at_their_level() -> None:
    rng = np.random.default_rng(52)
    found = [of(MannWhitneyTest(rng.normal(0, 1, 6), rng.normal(1, 1, 7), ALPHA).result()) for _ in range(RUNS)]
    covered = np.mean([not interval.excludes(1.0) for interval in found])
    assert 1 - ALPHA - 3 * sqrt(ALPHA * (1 - ALPHA) / RUNS) <= covered < 0.97


def test_wilson_covers_on_average_at_its_level() -> None:
    """Weighed exactly: near the level at each rate, at the level on average over rates."""
    n, rates = 40, np.linspace(0.05, 0.95, 181)
    limits = [wilson(Proportion(x, n), ALPHA) for x in range(n + 1)]
    covered = [
        sum(binom.pmf(x, n, rate) for x, interval in enumerate(limits) if not interval.excludes(rate)) for rate in rates
    ]
    assert np.mean(covered) == pytest.approx(1 - ALPHA, abs=0.01)
    assert min(covered) > 0.83


def test_garwood_covers_at_least_at_its_level() -> None:
    limits = [garwood(EventCount(x, 2.0), ALPHA) for x in range(80)]
    for rate in np.linspace(0.1, 12, 60):
        covered = sum(poisson.pmf(x, 2 * rate) for x, each in enumerate(limits) if not each.excludes(rate))
        assert 1 - ALPHA - 1e-9 <= covered <= 1


def test_rate_ratios_cover_at_least_at_their_level() -> None:
    """Given the total: all splits of 25 events, at each ratio."""
    total = 25
    results = [CountsTest(EventCount(total - y, 3.0), EventCount(y, 2.0), ALPHA).result() for y in range(total + 1)]
    for ratio_ in (0.2, 0.7, 1.0, 3.0):
        share = 2 * ratio_ / (2 * ratio_ + 3)
        covered = sum(
            binom.pmf(y, total, share)
            for y, each in enumerate(results)
            if each.effect_size_ci_lower <= ratio_ <= each.effect_size_ci_upper  # type: ignore[operator]
        )
        assert covered >= 1 - ALPHA - 1e-9


def test_odds_ratios_cover_at_least_at_their_level() -> None:
    """Given the margins: all tables of 12 and 15 with 11 conversions, at each odds ratio."""
    n1, n2, total = 12, 15, 11
    tables = [(y, ConditionalLaw(Proportion(total - y, n1), Proportion(y, n2))) for y in range(total + 1)]
    for odds in (0.1, 0.5, 1.0, 4.0):
        law = nchypergeom_fisher(n1 + n2, n2, total, odds)
        covered = sum(law.pmf(y) for y, table in tables if not table.interval(ALPHA).excludes(odds))
        assert covered >= 1 - ALPHA - 1e-9
