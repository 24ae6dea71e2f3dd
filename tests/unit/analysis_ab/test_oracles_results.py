"""Tests of results against numbers that were computed independently, with scipy and statsmodels."""

from __future__ import annotations

from math import comb, exp

import pytest

from app.analysis.ab.bandit import BanditSimulation
from app.analysis.ab.compare.barnard import BarnardTest
from app.analysis.ab.compare.boschloo import BoschlooTest
from app.analysis.ab.compare.counts import CountsTest
from app.analysis.ab.compare.equivalence import EquivalenceTest
from app.analysis.ab.compare.fisher import FisherTest
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.permutation import PermutationTest, QuantileTest
from app.analysis.ab.compare.proportions import ProportionsTest
from app.analysis.ab.compare.ratio import RatioTest
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.compare.yuen import YuenTest
from app.analysis.ab.independence import IndependenceTest
from app.analysis.ab.multiple import Metric, MultipleTesting
from app.analysis.ab.srm import SrmTest
from app.analysis.ab.statistic import EventCount, Proportion, RatioMean, SampleMean

A = ((1, 2, 3, 4, 5), (3, 4, 5, 6, 7))
B = ((1.1, 2.4, 3.0, 4.7, 5.2, 8.8), (2.9, 6.1, 7.7, 9.3, 10.2))
C = ((12, 15, 11, 19, 22, 13, 18, 40), (14, 21, 25, 33, 29, 41, 17, 50, 28))
D = ((10.2, 9.7, 11.1, 10.4), (11.9, 12.4, 10.8, 13.1))


def near(value: float) -> object:
    """Equal to a relative 1e-8."""
    return pytest.approx(value, rel=1e-8, abs=0)


@pytest.mark.parametrize(
    ("x", "n", "y", "m", "z", "p", "low", "high"),
    [
        (200, 2000, 250, 2000, 2.501955417, 0.01235094771, 0.005410339067, 0.04462363524),
        (48, 80, 56, 70, 2.650171951, 0.008045081368, 0.0524314724, 0.333872654),
        (0, 50, 3, 50, 1.758631145, 0.07864017935, -0.02149638313, 0.1621709169),
    ],
)
def test_z(x: int, n: int, y: int, m: int, z: float, p: float, low: float, high: float) -> None:
    found = ProportionsTest(Proportion(x, n), Proportion(y, m)).result()
    assert (found.test_statistic, found.p_value) == (near(z), near(p))
    assert (found.ci_lower, found.ci_upper) == (near(low), near(high))


@pytest.mark.parametrize(
    ("control", "treatment", "alpha", "t", "df", "p", "low", "high"),
    [
        ((100, 15, 500), (103, 18, 480), 0.05, 2.828427125, 932.6556891, 0.004777968399, 0.9184429594, 5.081557041),
        ((52.4, 11, 35), (47.9, 19, 28), 0.1, -1.112893575, 41.07576606, 0.2722248326, -11.30444952, 2.304449516),
        ((10, 4, 12), (13, 6, 9), 0.05, 1.299038106, 13.1588785, 0.2162321255, -1.983041196, 7.983041196),
    ],
)
def test_welch(
    control: tuple[float, float, int],
    treatment: tuple[float, float, int],
    alpha: float,
    t: float,
    df: float,
    p: float,
    low: float,
    high: float,
) -> None:
    test = WelchTest(SampleMean(*control), SampleMean(*treatment), alpha)
    found = test.result()
    assert (found.test_statistic, test.df, found.p_value) == (near(t), near(df), near(p))
    assert (found.ci_lower, found.ci_upper) == (near(low), near(high))


@pytest.mark.parametrize(
    ("control", "treatment", "margin", "p", "low", "high"),
    [
        ((100, 15, 500), (100.5, 15, 500), 3, 0.004269170096, -1.061894989, 2.061894989),
        ((50, 9, 80), (51.2, 8, 95), 4, 0.01627916638, -0.9483578024, 3.348357802),
    ],
)
def test_equivalence(
    control: tuple[float, float, int],
    treatment: tuple[float, float, int],
    margin: float,
    p: float,
    low: float,
    high: float,
) -> None:
    found = EquivalenceTest(SampleMean(*control), SampleMean(*treatment), margin).result()
    assert (found.p_value, found.ci_lower, found.ci_upper) == (near(p), near(low), near(high))
    assert found.verdict_code == "equivalent"
    assert found.ci_level == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("sample", "u", "p", "shift", "low", "high", "r"),
    [(A, 20.5, 0.113846298, 2, -1, 5, 0.64), (B, 24, 0.1255411255, 3.4, -1.8, 7.2, 0.6)],
)
def test_mann_whitney(
    sample: tuple[tuple[float, ...], tuple[float, ...]],
    u: float,
    p: float,
    shift: float,
    low: float,
    high: float,
    r: float,
) -> None:
    found = MannWhitneyTest(*sample).result()
    assert (found.test_statistic, found.p_value, found.effect_size) == (near(u), near(p), near(r))
    assert (found.observed_effect, found.ci_lower, found.ci_upper) == (near(shift), near(low), near(high))


@pytest.mark.parametrize(
    ("x", "n", "y", "m", "p", "odds", "low", "high", "barnard", "boschloo"),
    [
        (3, 10, 8, 10, 0.06977851869, 9.333333333, 0.8821151869, 127.0090253, 0.04138946533, 0.04138946533),
        (7, 40, 18, 42, 0.01663922736, 3.535714286, 1.161356051, 11.51528094, 0.01281121393, 0.01349981415),
        (12, 50, 9, 48, 0.625125873, 0.7307692308, 0.2421739026, 2.148689499, 0.5530132002, 0.6005045356),
    ],
)
def test_exact_tests_of_a_2x2_table(
    x: int, n: int, y: int, m: int, p: float, odds: float, low: float, high: float, barnard: float, boschloo: float
) -> None:
    arms = Proportion(x, n), Proportion(y, m)
    found = FisherTest(*arms).result()
    assert (found.p_value, found.effect_size) == (near(p), near(odds))
    assert (found.effect_size_ci_lower, found.effect_size_ci_upper) == (near(low), near(high))
    assert BarnardTest(*arms).result().p_value == near(barnard)
    assert BoschlooTest(*arms).result().p_value == near(boschloo)


@pytest.mark.parametrize(("sample", "effect", "p"), [(A, 2, 32 / comb(10, 5)), (D, 1.7, 4 / comb(8, 4))])
def test_permutation(sample: tuple[tuple[float, ...], tuple[float, ...]], effect: float, p: float) -> None:
    found = PermutationTest(*sample).result()
    assert (found.observed_effect, found.p_value) == (near(effect), near(p))


@pytest.mark.parametrize(("sample", "effect", "p"), [(A, 2, 84 / comb(10, 5)), (D, 1.85, 4 / comb(8, 4))])
def test_quantile(sample: tuple[tuple[float, ...], tuple[float, ...]], effect: float, p: float) -> None:
    found = QuantileTest(*sample).result()
    assert (found.observed_effect, found.p_value) == (near(effect), near(p))


@pytest.mark.parametrize(
    ("trim", "t", "p", "low", "high"),
    [
        (0.2, 2.511442856, 0.0337226903, 1.081863617, 21.34670781),
        (0.0, 1.960933871, 0.06883053172, -0.867455076, 20.70078841),
    ],
)
def test_yuen(trim: float, t: float, p: float, low: float, high: float) -> None:
    found = YuenTest(*C, trim=trim).result()
    assert (found.test_statistic, found.p_value) == (near(t), near(p))
    assert (found.ci_lower, found.ci_upper) == (near(low), near(high))


@pytest.mark.parametrize(
    ("control", "treatment", "p", "ratio", "ratio_interval", "interval"),
    [
        ((100, 1000), (130, 1000), 0.05561357778, 1.3, (0.9939622684, 1.704499302), (-0.000414651606, 0.06067453225)),
        ((5, 900), (0, 850), 0.06301041233, 0, (0, 1.155471994), (-0.01296481342, 0.000181123386)),
        (
            (60, 1200),
            (41, 1150),
            0.110877675,
            0.7130434783,
            (0.4672950505, 1.078440815),
            (-0.03188529399, 0.003028713808),
        ),
    ],
)
def test_counts(
    control: tuple[int, float],
    treatment: tuple[int, float],
    p: float,
    ratio: float,
    ratio_interval: tuple[float, float],
    interval: tuple[float, float],
) -> None:
    found = CountsTest(EventCount(*control), EventCount(*treatment)).result()
    assert (found.p_value, found.effect_size) == (near(p), near(ratio))
    assert (found.effect_size_ci_lower, found.effect_size_ci_upper) == tuple(map(near, ratio_interval))
    assert (found.ci_lower, found.ci_upper) == tuple(map(near, interval))


@pytest.mark.parametrize(
    ("table", "chi", "chi_p", "chi_v", "g", "g_p", "g_v"),
    [
        (
            [[10, 20, 30], [20, 20, 20]],
            5.333333333,
            0.06948345122,
            0.2108185107,
            5.411532091,
            0.06681911775,
            0.2123584252,
        ),
        ([[8, 2], [1, 9]], 9.898989899, 0.001653695164, 0.7035264707, 11.01584461, 0.0009033635459, 0.7421537782),
    ],
)
def test_independence(
    table: list[list[int]], chi: float, chi_p: float, chi_v: float, g: float, g_p: float, g_v: float
) -> None:
    pearson, likelihood = IndependenceTest(table).result(), IndependenceTest(table, test_type="g_test").result()
    assert (pearson.chi_square, pearson.p_value, pearson.cramers_v) == (near(chi), near(chi_p), near(chi_v))
    assert (likelihood.chi_square, likelihood.p_value, likelihood.cramers_v) == (near(g), near(g_p), near(g_v))


@pytest.mark.parametrize(
    ("counts", "fractions", "chi", "p", "log_bf", "anytime"),
    [
        ((5000, 5200), (0.5, 0.5), 3.921568627, 0.04767038066, 0.5777841079, 0.5611404166),
        ((5000, 5300), (0.5, 0.5), 8.737864078, 0.00311669384, 2.770492148, 0.06263117335),
        ((7012, 3204), (0.7, 0.3), 9.031882761, 0.00265311084, 2.861480961, 0.05718401024),
    ],
)
def test_sample_ratio_mismatch(
    counts: tuple[int, int], fractions: tuple[float, float], chi: float, p: float, log_bf: float, anytime: float
) -> None:
    test = SrmTest(counts, fractions)
    found = test.result()
    assert (found.chi_square, found.p_value, test.log_bayes_factor) == (near(chi), near(p), near(log_bf))
    assert found.always_valid_p_value == near(anytime)
    assert found.always_valid_p_value == near(exp(-test.log_bayes_factor))
    assert not found.is_srm


@pytest.mark.parametrize(
    ("method", "p", "adjusted", "rejected"),
    [
        ("bh", [0.01, 0.04, 0.03, 0.5], [0.04, 0.16 / 3, 0.16 / 3, 0.5], 1),
        ("holm", [0.01, 0.04, 0.03, 0.5], [0.04, 0.09, 0.09, 0.5], 1),
        (
            "bh",
            [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.2],
            [0.007, 0.028, 0.0588, 0.0588, 0.0588, 0.07, 0.2],
            2,
        ),
        (
            "holm",
            [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.2],
            [0.007, 0.048, 0.195, 0.195, 0.195, 0.195, 0.2],
            2,
        ),
    ],
)
def test_several_tests(method: str, p: list[float], adjusted: list[float], rejected: int) -> None:
    found = MultipleTesting([Metric(str(i), each) for i, each in enumerate(p)], method).result()
    assert [each.adjusted_p_value for each in found.results] == [near(each) for each in adjusted]
    assert found.num_rejected == found.threshold_rank == rejected
    assert found.critical_value == max(each.p_value for each in found.results if each.rejected)


@pytest.mark.parametrize(
    ("control", "treatment", "ratios", "variance", "z", "p"),
    [
        (
            ([1, 2, 1, 3, 0, 2], [10, 12, 8, 20, 5, 14]),
            ([2, 1, 3, 4, 1, 2], [11, 9, 15, 18, 7, 10]),
            (0.1304347826, 0.1857142857),
            0.0004797834042,
            2.523722036,
            0.01161197043,
        ),
        (
            ([1.5, 0.2, 2.2, 0.9, 3.1, 2.0, 1.4, 1.0], [3, 1, 4, 2, 6, 5, 2, 3]),
            ([1.1, 3.3, 1.2, 4.0, 0.7, 2.5, 1.9, 1.6], [2, 5, 3, 6, 1, 4, 4, 2]),
            (0.4730769231, 0.6037037037),
            0.002922012344,
            2.416524488,
            0.01566947222,
        ),
    ],
)
def test_ratio(
    control: tuple[list[float], list[float]],
    treatment: tuple[list[float], list[float]],
    ratios: tuple[float, float],
    variance: float,
    z: float,
    p: float,
) -> None:
    first, second = RatioMean.of(*control), RatioMean.of(*treatment)
    assert (first.estimate, second.estimate) == tuple(map(near, ratios))
    assert first.error_variance + second.error_variance == near(variance)
    found = RatioTest(first, second).result()
    assert (found.test_statistic, found.p_value) == (near(z), near(p))


def test_bandit() -> None:
    found = BanditSimulation((0.05, 0.10), 1000, 50).result()
    assert found.final_uniform_regret == near(25)
    assert found.final_bandit_regret < 25
