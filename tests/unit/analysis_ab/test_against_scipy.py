"""Random inputs, held against scipy.stats, which the statistics themselves don't use."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.stats.contingency import odds_ratio as conditional_odds_ratio

from app.analysis.ab.compare.barnard import BarnardTest
from app.analysis.ab.compare.boschloo import BoschlooTest
from app.analysis.ab.compare.counts import CountsTest, garwood
from app.analysis.ab.compare.fisher import FisherTest
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.permutation import PermutationTest
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.compare.wilson import wilson
from app.analysis.ab.compare.yuen import YuenTest
from app.analysis.ab.independence import IndependenceTest
from app.analysis.ab.live.cuped import CovariateSums, CupedModel
from app.analysis.ab.live.posterior import beta_posterior
from app.analysis.ab.multiple import Metric, MultipleTesting
from app.analysis.ab.srm import SrmTest
from app.analysis.ab.statistic import EventCount, Proportion, SampleMean
from tests.unit.analysis_ab.properties import given


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-8, abs=1e-12)


@st.composite
def arms(draw: st.DrawFn, most: int = 60) -> tuple[Proportion, Proportion]:
    found = []
    for _ in range(2):
        n = draw(st.integers(2, most))
        found.append(Proportion(draw(st.integers(0, n)), n))
    return found[0], found[1]


def table(control: Proportion, treatment: Proportion) -> list[list[int]]:
    """Rows treatment and control, columns converted and not."""
    return [[arm.successes, arm.n - arm.successes] for arm in (treatment, control)]


@given(arms(300))
def test_fisher(given_arms: tuple[Proportion, Proportion]) -> None:
    found = FisherTest(*given_arms).result()
    assert found.p_value == near(stats.fisher_exact(table(*given_arms)).pvalue)


@given(arms(80), examples=30)
def test_the_exact_interval_of_odds_ratios(given_arms: tuple[Proportion, Proportion]) -> None:
    found = FisherTest(*given_arms).result()
    expected = conditional_odds_ratio(table(*given_arms)).confidence_interval(0.95)
    assert found.effect_size_ci_lower == pytest.approx(expected.low, rel=1e-6, abs=1e-9)
    assert found.effect_size_ci_upper == pytest.approx(expected.high, rel=1e-6, abs=1e-9)


def barnard_statistic(n1: int, n2: int, x1: int, x2: int) -> Fraction:
    """z², without rounding, so that ties are ties."""
    pooled = Fraction(x1 + x2, n1 + n2)
    if pooled in (0, 1):
        return Fraction(0)
    return (Fraction(x2, n2) - Fraction(x1, n1)) ** 2 / (pooled * (1 - pooled) * (Fraction(1, n1) + Fraction(1, n2)))


def fisher_tail(n1: int, n2: int, x1: int, x2: int, way: int) -> Fraction:
    """P(X₂ <= x₂) for way -1, P(X₂ >= x₂) for 1, given the total; without rounding."""
    total = x1 + x2
    side = range(max(0, total - n1), x2 + 1) if way < 0 else range(x2, min(n2, total) + 1)
    return Fraction(sum(comb(n2, k) * comb(n1, total - k) for k in side), comb(n1 + n2, total))


def largest(extreme: np.ndarray) -> float:
    """The largest probability of the tables over 4001 rates."""
    rates = np.linspace(0, 1, 4001)[:, None]
    first, second = (stats.binom.pmf(np.arange(size), size - 1, rates) for size in extreme.shape)
    return float(((first @ extreme) * second).sum(axis=1).max())


@given(arms(12), examples=25)
def test_barnard_and_boschloo(given_arms: tuple[Proportion, Proportion]) -> None:
    """Held against exact fractions: scipy takes some ties for differences (1 of 2 against 1 of 3)."""
    (x1, n1), (x2, n2) = ((arm.successes, arm.n) for arm in given_arms)
    seen = barnard_statistic(n1, n2, x1, x2)
    extreme = [[barnard_statistic(n1, n2, i, j) >= seen for j in range(n2 + 1)] for i in range(n1 + 1)]
    expected = largest(np.array(extreme))
    assert BarnardTest(*given_arms).result().p_value == pytest.approx(expected, rel=1e-5)
    sides = []
    for way in (-1, 1):
        tail = fisher_tail(n1, n2, x1, x2, way)
        tables = [[fisher_tail(n1, n2, i, j, way) <= tail for j in range(n2 + 1)] for i in range(n1 + 1)]
        sides.append(largest(np.array(tables)))
    assert BoschlooTest(*given_arms).result().p_value == pytest.approx(min(1.0, 2 * min(sides)), rel=1e-5)


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.1, 100), st.floats(0.1, 100))
def test_counts(x: int, y: int, first: float, second: float) -> None:
    found = CountsTest(EventCount(x, first), EventCount(y, second)).result()
    if x + y == 0:
        assert (found.p_value, found.verdict_code) == (1.0, "degenerate")
        return
    binomial = stats.binomtest(y, x + y, second / (first + second))
    assert found.p_value == pytest.approx(binomial.pvalue, rel=1e-7)
    limits = binomial.proportion_ci(0.95, "exact")
    assert found.effect_size_ci_lower == pytest.approx(limits.low / (1 - limits.low) * first / second, rel=1e-8)
    if y and x:
        assert found.effect_size_ci_upper == pytest.approx(limits.high / (1 - limits.high) * first / second, rel=1e-8)
    chi = stats.chi2.ppf([0.025, 0.975], [2 * x, 2 * x + 2]) / 2 / first
    interval = garwood(EventCount(x, first))
    assert (interval.lower, interval.upper) == (near(chi[0] if x else 0.0), near(chi[1]))


@given(arms(1000))
def test_wilson(given_arms: tuple[Proportion, Proportion]) -> None:
    found, arm = wilson(given_arms[0]), given_arms[0]
    expected = stats.binomtest(arm.successes, arm.n).proportion_ci(0.95, "wilson")
    assert (found.lower, found.upper) == (near(expected.low), near(expected.high))


FEW = st.lists(st.integers(0, 9), min_size=2, max_size=5)
VALUES = st.lists(st.integers(-50, 50), min_size=3, max_size=40)


@given(VALUES, VALUES)
def test_mann_whitney(x: list[int], y: list[int]) -> None:
    found = MannWhitneyTest(x, y).result()
    if len(set(x + y)) == 1:
        assert (found.p_value, found.verdict_code) == (1.0, "degenerate")
        return
    exact = len(set(x + y)) == len(x + y) and len(x + y) <= 30
    expected = stats.mannwhitneyu(y, x, method="exact" if exact else "asymptotic")
    assert (found.test_statistic, found.p_value) == (near(expected.statistic), near(expected.pvalue))
    assert found.observed_effect == float(np.median(np.subtract.outer(y, x)))


@given(VALUES, VALUES, st.sampled_from([0.0, 0.1, 0.2, 0.3]))
def test_yuen_and_welch(x: list[int], y: list[int], trim: float) -> None:
    kept = [np.sort(v)[int(trim * len(v)) : len(v) - int(trim * len(v))] for v in (x, y)]
    if np.ptp(kept[0]) == 0 or np.ptp(kept[1]) == 0:
        return  # scipy warns of lost precision
    found = YuenTest(x, y, trim=trim).result()
    expected = stats.ttest_ind(y, x, equal_var=False, trim=trim)
    assert (found.test_statistic, found.p_value) == (near(expected.statistic), near(expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert (found.ci_lower, found.ci_upper) == (near(interval.low), near(interval.high))
    if trim == 0.0:
        welch = WelchTest(SampleMean.of(x), SampleMean.of(y)).result()
        assert (welch.test_statistic, welch.p_value) == (near(found.test_statistic), near(found.p_value))


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=5),
    st.lists(st.integers(0, 9), min_size=2, max_size=5),
    examples=30,
)
def test_all_splits(x: list[int], y: list[int]) -> None:
    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(a.mean(axis=axis) - b.mean(axis=axis))

    found = PermutationTest(x, y).result()
    if len(set(x + y)) > 1:
        expected = stats.permutation_test((x, y), difference, alternative="greater", vectorized=True, n_resamples=5000)
        assert found.p_value == near(expected.pvalue)


@given(st.lists(st.lists(st.integers(1, 200), min_size=3, max_size=3), min_size=2, max_size=5))
def test_independence(counts: list[list[int]]) -> None:
    for kind, power in (("chi_square", 1), ("g_test", 0)):
        found = IndependenceTest(counts, test_type=kind).result()
        expected = stats.chi2_contingency(counts, correction=False, lambda_=power)
        assert found.chi_square == pytest.approx(expected.statistic, rel=1e-8, abs=1e-9)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-8)
        assert found.min_expected_count == near(expected.expected_freq.min())


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=10))
def test_sample_ratio(counts: list[int]) -> None:
    shares = np.arange(1.0, len(counts) + 1) / np.arange(1.0, len(counts) + 1).sum()
    found = SrmTest(counts, shares.tolist()).result()
    expected = stats.chisquare(counts, sum(counts) * shares)
    assert found.chi_square == near(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-8)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_several_tests(p: list[float]) -> None:
    found = MultipleTesting([Metric("", each) for each in p]).result()
    expected = stats.false_discovery_control(p, method="bh")
    assert [each.adjusted_p_value for each in found.results] == pytest.approx(list(expected))


@given(arms(2000), examples=25)
def test_the_beta_posterior(given_arms: tuple[Proportion, Proportion]) -> None:
    first, second = (stats.beta(1 + arm.successes, 1 + arm.n - arm.successes) for arm in given_arms)
    found = beta_posterior(*given_arms)
    # With integers, P(B>A) is a finite sum of ratios of beta functions: no quadrature at all.
    a1, b1, a2, b2 = (*first.args, *second.args)
    from scipy.special import betaln

    i = np.arange(a2)
    exact = float(np.exp(betaln(a1 + i, b1 + b2) - np.log(b2 + i) - betaln(1 + i, b2) - betaln(a1, b1)).sum())
    assert found.probability == pytest.approx(exact, rel=1e-8, abs=1e-11)
    assert found.loss_control - found.loss_treatment == pytest.approx(second.mean() - first.mean(), abs=1e-11)
    points = sorted({0.0, 1.0, *(float(law.ppf(q)) for law in (first, second) for q in (1e-9, 0.5, 1 - 1e-9))})
    loss = sum(
        integrate.quad(lambda y: second.cdf(y) * first.sf(y), low, high, epsabs=1e-13)[0]
        for low, high in pairwise(points)
    )
    assert found.loss_treatment == pytest.approx(loss, rel=1e-7, abs=1e-11)


def test_cuped_is_least_squares_with_a_dummy_for_each_arm() -> None:
    rng = np.random.default_rng(70)
    sizes, k = (12, 17, 9), 3
    x = [rng.normal(3, 2, (n, k)) for n in sizes]
    y = [i + rows @ [0.5, -1.0, 0.2] + rng.normal(0, 1, len(rows)) for i, rows in enumerate(x)]
    model = CupedModel(tuple(CovariateSums.of(values, rows) for values, rows in zip(y, x, strict=True)))
    dummies = np.repeat(np.eye(3), sizes, axis=0)
    full = np.hstack([dummies, np.vstack(x)])
    beta, squares, rank, _ = np.linalg.lstsq(full, np.concatenate(y))
    df = sum(sizes) - rank
    inverse = np.linalg.inv(full.T @ full)
    for arm in (1, 2):
        contrast = np.zeros(3 + k)
        contrast[[0, arm]] = -1, 1
        error = float(np.sqrt(squares[0] / df * contrast @ inverse @ contrast))
        found = model.result(arm)
        assert (found.observed_effect, model.error(arm), model.df) == (near(contrast @ beta), near(error), df)
        assert found.p_value == near(2 * stats.t.sf(abs(contrast @ beta) / error, df))


def test_cuped_bears_covariates_that_say_nothing_or_the_same() -> None:
    rng = np.random.default_rng(71)
    x = rng.normal(0, 1, (2, 20))
    y = x + rng.normal(0, 1, (2, 20))
    alone = CupedModel(tuple(CovariateSums.of(y[i], x[i]) for i in (0, 1)))
    more = CupedModel(
        tuple(CovariateSums.of(y[i], np.stack([x[i], 1e6 * x[i], np.full(20, 7.0)], axis=1)) for i in (0, 1))
    )
    assert (more.df, more.error(1)) == (alone.df, near(alone.error(1)))
    assert more.result(1).observed_effect == near(alone.result(1).observed_effect)


def test_sums_give_the_same_as_samples() -> None:
    rng = np.random.default_rng(72)
    x, y = rng.normal(0, 1, (15, 2)), rng.normal(3, 1, 15)
    from app.analysis.ab.statistic import RatioMean

    whole = CovariateSums.of(y, x)
    sums = CovariateSums.from_sums(15, float(y.sum()), x.sum(axis=0), float(y @ y), x.T @ y, x.T @ x)
    assert (sums.n, sums.y_mean, sums.yy) == (15, near(whole.y_mean), near(whole.yy))
    assert sums.xy == pytest.approx(whole.xy)
    assert sums.xx == pytest.approx(whole.xx)
    about = SampleMean.from_sums(15, float((y - 3).sum()), float(((y - 3) ** 2).sum()), 3.0)
    assert (about.mean, about.sd) == (near(y.mean()), near(y.std(ddof=1)))
    ratio, other = RatioMean.of(y, x[:, 0] + 5), x[:, 0] + 5
    found = RatioMean.from_sums(15, *(float(s) for s in (y.sum(), other.sum(), y @ y, other @ other, y @ other)))
    assert (found.estimate, found.error_variance) == (near(ratio.estimate), near(ratio.error_variance))
