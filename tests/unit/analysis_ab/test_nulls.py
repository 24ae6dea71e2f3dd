"""Without an effect, p-values are uniform, or stochastically larger where a test is discrete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom, poisson

from app.analysis.ab.compare.barnard import BarnardTest
from app.analysis.ab.compare.boschloo import BoschlooTest
from app.analysis.ab.compare.counts import CountsTest, poisson_p
from app.analysis.ab.compare.equivalence import EquivalenceTest
from app.analysis.ab.compare.fisher import FisherTest
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.permutation import PermutationTest, QuantileTest
from app.analysis.ab.compare.proportions import ProportionsTest
from app.analysis.ab.compare.ratio import RatioTest
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.compare.yuen import YuenTest
from app.analysis.ab.independence import IndependenceTest
from app.analysis.ab.live.cuped import CovariateSums, CupedModel
from app.analysis.ab.live.guardrail import GuardrailTest
from app.analysis.ab.live.strata import StratifiedTest, Stratum
from app.analysis.ab.srm import SrmTest
from app.analysis.ab.statistic import EventCount, Proportion, RatioMean, SampleMean

LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
RUNS = 2000

Rng = np.random.Generator


def within_3_errors(p: np.ndarray, level: float) -> bool:
    """Whether as many p-values are below the level as should be, within 3 standard errors."""
    return abs((p < level).mean() - level) <= 3 * sqrt(level * (1 - level) / len(p))


def not_above_3_errors(p: np.ndarray, level: float) -> bool:
    """Whether no more p-values are up to the level than may be."""
    return (p <= level).mean() - level <= 3 * sqrt(level * (1 - level) / len(p))


def proportions(rng: Rng) -> float:
    x, y = rng.binomial([4000, 6000], 0.3)
    return ProportionsTest(Proportion(int(x), 4000), Proportion(int(y), 6000)).result().p_value


def means(rng: Rng) -> float:
    """Unequal sizes and variances: what Welch's degrees of freedom are for."""
    return WelchTest(SampleMean.of(rng.normal(5, 1, 12)), SampleMean.of(rng.normal(5, 3, 25))).result().p_value


def means_at_the_margin(rng: Rng) -> float:
    """The true difference is the margin, and the other side is far away."""
    control, treatment = rng.normal(0, 1, 40), rng.normal(1, 1.5, 60)
    return EquivalenceTest(SampleMean.of(control), SampleMean.of(treatment), 1.0).result().p_value


def ratios(rng: Rng) -> float:
    arms = []
    for n in (400, 600):
        x = rng.poisson(4, n) + 1.0
        arms.append(RatioMean.of(rng.normal(0.3 * x, 1.0), x))
    return RatioTest(*arms).result().p_value


def trimmed(rng: Rng) -> float:
    """Tails so heavy that there is no variance."""
    return YuenTest(rng.standard_t(2, 40), 2 * rng.standard_t(2, 60)).result().p_value


def ranks(rng: Rng) -> float:
    return MannWhitneyTest(rng.exponential(1, 60), rng.exponential(1, 80)).result().p_value


def covariates(rng: Rng) -> float:
    arms = []
    for n in (12, 15, 10):
        x = rng.normal(0, 1, (n, 2))
        arms.append(CovariateSums.of(x @ [1.0, -0.5] + rng.normal(0, 1, n), x))
    return CupedModel(tuple(arms)).result(1).p_value


def strata(rng: Rng) -> float:
    cells = [
        Stratum(str(rate), *(Proportion(int(rng.binomial(1500, rate)), 1500) for _ in range(2))) for rate in (0.2, 0.6)
    ]
    return StratifiedTest(tuple(cells)).result().p_value


def harm_at_the_margin(rng: Rng) -> float:
    return GuardrailTest(rng.normal(0.5, 0.2), 0.04, 0.5).result().p_value


def sample_ratio(rng: Rng) -> float:
    counts = rng.multinomial(30_000, [0.2, 0.3, 0.5])
    return SrmTest(tuple(counts.tolist()), (0.2, 0.3, 0.5)).result().p_value


def table(rng: Rng) -> float:
    counts = rng.multinomial(3000, np.outer([0.3, 0.7], [0.2, 0.3, 0.5]).ravel()).reshape(2, 3)
    return IndependenceTest(counts.tolist()).result().p_value


def table_by_likelihood(rng: Rng) -> float:
    counts = rng.multinomial(3000, np.outer([0.3, 0.7], [0.2, 0.3, 0.5]).ravel()).reshape(2, 3)
    return IndependenceTest(counts.tolist(), test_type="g_test").result().p_value


CONTINUOUS = (
    proportions, means, means_at_the_margin, ratios, trimmed, ranks, covariates, strata, harm_at_the_margin,
    sample_ratio, table, table_by_likelihood,
)  # fmt: skip


@pytest.mark.parametrize("draw", CONTINUOUS, ids=lambda draw: draw.__name__)
def test_p_values_are_uniform_without_an_effect(draw: Callable[[Rng], float]) -> None:
    rng = np.random.default_rng(21)
    p = np.array([draw(rng) for _ in range(RUNS)])
    assert [level for level in LEVELS if not within_3_errors(p, level)] == []


def test_a_shifted_null_is_noticed() -> None:
    """The check above can fail: an effect of a fifth of a standard error is enough."""
    rng = np.random.default_rng(21)
    p = np.array([GuardrailTest(rng.normal(0.54, 0.2), 0.04, 0.5).result().p_value for _ in range(RUNS)])
    assert not all(within_3_errors(p, level) for level in LEVELS)


def few_ranks(rng: Rng) -> float:
    return MannWhitneyTest(rng.normal(0, 1, 5), rng.normal(0, 1, 6)).result().p_value


def tied_ranks(rng: Rng) -> float:
    return MannWhitneyTest(rng.poisson(2, 30), rng.poisson(2, 40)).result().p_value


def all_splits(rng: Rng) -> float:
    return PermutationTest(rng.exponential(1, 3), rng.exponential(1, 5)).result().p_value


def medians(rng: Rng) -> float:
    return QuantileTest(rng.normal(0, 1, 3), rng.normal(0, 1, 5)).result().p_value


def rates(rng: Rng) -> float:
    counts = rng.poisson([30, 60])
    return CountsTest(EventCount(int(counts[0]), 10.0), EventCount(int(counts[1]), 20.0)).result().p_value


@pytest.mark.parametrize("draw", [few_ranks, tied_ranks, all_splits, medians, rates], ids=lambda draw: draw.__name__)
def test_discrete_p_values_are_never_too_small(draw: Callable[[Rng], float]) -> None:
    rng = np.random.default_rng(30)
    p = np.array([draw(rng) for _ in range(1000)])
    assert [level for level in LEVELS if not not_above_3_errors(p, level)] == []
    assert p.mean() < 0.65  # nor much too large


def test_random_splits_are_uniform_too() -> None:
    rng = np.random.default_rng(40)
    p = np.array([PermutationTest(rng.normal(0, 1, 15), rng.normal(0, 1, 20)).result().p_value for _ in range(400)])
    assert [level for level in LEVELS if not within_3_errors(p, level)] == []


def tables(n1: int, n2: int) -> Iterator[tuple[Proportion, Proportion]]:
    for x1 in range(n1 + 1):
        for x2 in range(n2 + 1):
            yield Proportion(x1, n1), Proportion(x2, n2)


@pytest.mark.parametrize("kind", [FisherTest, BarnardTest, BoschlooTest])
def test_exact_tests_keep_their_level_at_every_rate(kind: type[FisherTest | BarnardTest | BoschlooTest]) -> None:
    """Not simulated: all tables of 7 and 9, weighed by their probabilities."""
    n1, n2 = 7, 9
    p = np.array([kind(*arms).result().p_value for arms in tables(n1, n2)]).reshape(n1 + 1, n2 + 1)
    reached = []
    for rate in np.linspace(0.02, 0.98, 49):
        weights = np.outer(binom.pmf(range(n1 + 1), n1, rate), binom.pmf(range(n2 + 1), n2, rate))
        for level in (0.01, 0.05, 0.1, 0.3):
            size = float(weights[p <= level].sum())
            assert size <= level + 1e-9
            reached.append(size / level)
    assert max(reached) > 0.5


def test_the_test_of_counts_keeps_its_level_at_every_rate() -> None:
    k = np.arange(40)
    p = np.array([[poisson_p(EventCount(int(a), 1.0), EventCount(int(b), 2.0)) for b in k] for a in k])
    for rate in (0.5, 2.0, 6.0):
        weights = np.outer(poisson.pmf(k, rate), poisson.pmf(k, 2 * rate))
        for level in (0.01, 0.05, 0.2):
            assert float(weights[p <= level].sum()) <= level


def test_few_ranks_have_the_exact_law() -> None:
    """All 126 orders of 4 and 5 values are equally likely."""
    from itertools import combinations

    p = []
    for chosen in combinations(range(9), 4):
        rest = [i for i in range(9) if i not in chosen]
        p.append(MannWhitneyTest([float(i) for i in chosen], [float(i) for i in rest]).result().p_value)
    for value in set(p):
        assert np.mean(np.array(p) <= value + 1e-12) == pytest.approx(value, abs=1e-12)


def test_the_normal_quantiles_that_levels_rest_on() -> None:
    assert ndtri(0.975) == pytest.approx(1.959963984540054, rel=1e-14)
