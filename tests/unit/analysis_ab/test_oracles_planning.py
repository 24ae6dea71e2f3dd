"""Plans against numbers that were computed independently, with scipy, statsmodels and another integration."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from app.analysis.ab.plan.clusters import ClusterDesign
from app.analysis.ab.plan.counts import counts_sample_size, detectable_rate_difference
from app.analysis.ab.plan.cuped import CupedPlan
from app.analysis.ab.plan.equivalence import equivalence_power, equivalence_sample_size
from app.analysis.ab.plan.fisher import fisher_power, fisher_sample_size
from app.analysis.ab.plan.mann_whitney import mann_whitney_sample_size
from app.analysis.ab.plan.means import detectable_mean_difference, means_sample_size
from app.analysis.ab.plan.precision import precision_sample_size
from app.analysis.ab.plan.proportions import detectable_proportion_difference, proportions_sample_size
from app.analysis.ab.plan.sample_size import SampleSize
from app.analysis.ab.plan.sensitivity import Sensitivity
from app.analysis.ab.plan.traffic import Traffic
from app.analysis.ab.sequential.boundaries import SequentialBoundary
from app.analysis.ab.sequential.crossing import crossing_probabilities
from app.analysis.ab.sequential.looks import continuous_polling_level, spending_boundaries


def near(value: float) -> object:
    """Equal to a relative 1e-8."""
    return pytest.approx(value, rel=1e-8, abs=0)


def closely(values: list[float]) -> object:
    """Equal to an absolute 1e-8, as boundaries and spending are held."""
    return pytest.approx(values, rel=0, abs=1e-8)


def same(found: SampleSize, exact: float, n: int) -> bool:
    return found.exact == near(exact) and found.per_variant == n


@pytest.mark.parametrize(
    ("given", "exact", "n"),
    [
        ((0.042, 5, 0.05, 0.8, 2), 146641.8705, 146642),
        ((0.1, 10, 0.05, 0.8, 3), 17863.41913, 17864),
        ((0.25, 4, 0.1, 0.85, 4), 38046.26796, 38047),
    ],
)
def test_sample_size_of_proportions(given: tuple[float, float, float, float, int], exact: float, n: int) -> None:
    assert same(proportions_sample_size(*given), exact, n)


@pytest.mark.parametrize(
    ("mean", "sd", "mde", "alpha", "power", "arms", "exact", "n"),
    [(50, 20, 4, 0.05, 0.8, 2, 1569.775947, 1570), (3.8, 1.9, 3.5, 0.05, 0.9, 3, 5065.798756, 5066)],
)
def test_sample_size_of_means(
    mean: float, sd: float, mde: float, alpha: float, power: float, arms: int, exact: float, n: int
) -> None:
    assert same(means_sample_size(sd, mean * mde / 100, alpha, power, arms), exact, n)


@pytest.mark.parametrize(
    ("given", "events", "exposure", "n"),
    [
        ((2.0, 10, 1.0, 0.05, 0.8, 2), 3458.997153, 823.5714286, 824),
        ((0.3, 20, 2.5, 0.05, 0.8, 3), 1147.510794, 1739.393939, 696),
    ],
)
def test_sample_size_of_counts(
    given: tuple[float, float, float, float, float, int], events: float, exposure: float, n: int
) -> None:
    found = counts_sample_size(*given)
    assert (found.events, found.exposure_per_arm, found.sample_size.per_variant) == (near(events), near(exposure), n)


@pytest.mark.parametrize(
    ("p", "mde", "power", "n", "reached", "before"),
    [(0.5, 40, 0.8, 102, 0.8061479102, 0.7993502089), (0.3, 80, 0.9, 96, 0.9016726314, 0.8968465152)],
)
def test_sample_size_of_fisher(p: float, mde: float, power: float, n: int, reached: float, before: float) -> None:
    assert fisher_sample_size(p, mde, 0.05, power).per_variant == n
    higher = p * (1 + mde / 100)
    assert fisher_power(p, higher, n) == near(reached)
    assert fisher_power(p, higher, n - 1) == near(before)


def test_sample_size_of_fisher_where_the_search_is_too_long() -> None:
    assert same(fisher_sample_size(0.1, 10), 14950.33112, 14951)


@pytest.mark.parametrize(("difference", "exact", "n"), [(2.0, 1644.100155, 1645), (5.0, 263.8937829, 264)])
def test_sample_size_of_mann_whitney(difference: float, exact: float, n: int) -> None:
    assert same(mann_whitney_sample_size(20.0, difference), exact, n)
    assert exact == near(means_sample_size(20.0, difference).per_variant * pi / 3)


@pytest.mark.parametrize(
    ("sd", "margin", "power", "n", "reached", "before"),
    [(0.1, 0.05, 0.8, 69, 0.8036364154, 0.7961369576), (15, 3, 0.9, 542, 0.9005573958, 0.8999318267)],
)
def test_sample_size_of_equivalence(
    sd: float, margin: float, power: float, n: int, reached: float, before: float
) -> None:
    assert equivalence_sample_size(sd, margin, 0.05, power).per_variant == n
    assert equivalence_power(sd, margin, n) == near(reached)
    assert equivalence_power(sd, margin, n - 1) == near(before)


@pytest.mark.parametrize(
    ("n", "size", "icc", "effect", "persons", "clusters"),
    [(14751, 100, 0.02, 2.98, 43958, 440), (552, 25, 0.1, 3.4, 1877, 76)],
)
def test_clusters(n: int, size: float, icc: float, effect: float, persons: int, clusters: int) -> None:
    design = ClusterDesign(size, icc)
    assert (design.effect, design.inflate(n), design.clusters(n)) == (near(effect), persons, clusters)


@pytest.mark.parametrize(
    ("sd", "covariate", "rho", "difference", "adjusted", "theta", "exact", "n"),
    [(20, 20, 0.6, 2.0, 16, 0.6, 1004.656606, 1005), (12, 7, -0.35, 2.025, 11.2409964, -0.6, 483.723551, 484)],
)
def test_cuped(
    sd: float, covariate: float, rho: float, difference: float, adjusted: float, theta: float, exact: float, n: int
) -> None:
    plan = CupedPlan(sd, covariate, rho)
    assert (plan.adjusted_sd, plan.theta) == (near(adjusted), near(theta))
    assert same(means_sample_size(plan.adjusted_sd, difference), exact, n)


def test_precision() -> None:
    assert same(precision_sample_size(0.1 * 0.9, 0.005), 27658.50351, 27659)
    assert same(precision_sample_size(400, 1.0), 3073.167057, 3074)


def test_duration() -> None:
    traffic = Traffic(12000, 0.6, (50, 50))
    assert 146642 / (traffic.allocated * 0.5) == near(40.73388889)
    assert traffic.days(146642) == 41
    shared = Traffic(12000, 0.6, (50, 50), holdout=0.1, exclusive=2)
    assert 146642 / (shared.allocated * 0.5) == near(90.51975309)
    assert shared.days(146642) == 91


def test_detectable_effects() -> None:
    assert detectable_proportion_difference(0.1, 14751) == near(0.009999927458)
    assert detectable_mean_difference(20, 1570) == near(1.999857286)
    plan = counts_sample_size(2.0, 10.0)
    # The plan rounds events up before exposure follows, so it detects a little less than what was asked for.
    assert detectable_rate_difference(2.0, plan.events / (2.0 * 2.1)) == near(0.2)


def test_sensitivity() -> None:
    plan = Sensitivity("binary", Traffic(1000, 1, (1, 1)), baseline=0.1)
    cells = plan.table([5, 10], [0.8])
    assert [(cell.sample_size_per_variant, cell.duration_days) for cell in cells] == [(57763, 116), (14751, 30)]


@pytest.mark.parametrize(
    ("looks", "alpha", "shape", "c", "inflation", "spent"),
    [
        (5, 0.05, "obrien_fleming", 2.040073175, 1.028408694,
         [5.073088859e-06, 0.001259059818, 0.008903612475, 0.02558459868]),
        (2, 0.05, "obrien_fleming", 1.977430959, 1.007784481, [0.005165786327]),
        (3, 0.025, "obrien_fleming", 2.271985966, 1.011561983, [8.312912917e-05, 0.005426766788]),
        (10, 0.05, "obrien_fleming", 2.086502181, 1.039897049, []),
        (5, 0.05, "pocock", 2.41317622, 1.228369431, [0.01581417156, 0.02752597649, 0.03654464457, 0.04385483127]),
    ],
)  # fmt: skip
def test_sequential_boundaries(
    looks: int, alpha: float, shape: str, c: float, inflation: float, spent: list[float]
) -> None:
    boundary = SequentialBoundary(looks, alpha, shape)
    assert [boundary.constant, boundary.inflation(0.8)] == closely([c, inflation])
    assert list(boundary.spent[: len(spent)]) == closely(spent)
    assert boundary.spent[-1] == pytest.approx(alpha, rel=0, abs=1e-11)


@pytest.mark.parametrize(
    ("looks", "fractions", "z"),
    [
        (5, [0.21, 0.43, 0.6, 0.85, 1.0], [4.561742298, 3.22566445, 2.629827405, 2.28983413, 2.02352745]),
        (3, [0.35, 0.7, 1.0], [3.471091442, 2.454432297, 1.998361905]),
    ],
)
def test_boundaries_at_the_looks_that_came(looks: int, fractions: list[float], z: list[float]) -> None:
    assert list(spending_boundaries(SequentialBoundary(looks), fractions)) == closely(z)


def test_looks_that_came_as_planned_have_the_planned_boundaries() -> None:
    for shape in ("obrien_fleming", "pocock"):
        boundary = SequentialBoundary(20, 0.05, shape)
        assert list(spending_boundaries(boundary, boundary.times)) == closely(list(boundary.z))


def test_a_look_that_was_skipped_spends_its_share_at_the_next() -> None:
    boundary = SequentialBoundary(4)
    z = spending_boundaries(boundary, [0.55, 0.8, 1.0], looks=[2, 3, 4])
    crossed = np.cumsum(crossing_probabilities([0.55, 0.8, 1.0], z))
    assert list(crossed) == closely(list(boundary.spent[1:]))


def test_two_looks_cross_as_often_as_the_bivariate_normal_says() -> None:
    t, c, drift = 0.3, 2.1, 1.3

    def second(z1: float) -> float:
        low, high = (((s * c) - drift - (z1 - drift * sqrt(t)) * sqrt(t)) / sqrt(1 - t) for s in (-1, 1))
        return float(norm.pdf(z1 - drift * sqrt(t)) * (norm.cdf(low) + norm.sf(high)))

    found = crossing_probabilities([t, 1.0], [c, c], drift)
    first = norm.cdf(-c - drift * sqrt(t)) + norm.sf(c - drift * sqrt(t))
    assert list(found) == pytest.approx([first, quad(second, -c, c, epsabs=1e-13)[0]], rel=0, abs=1e-11)


def test_polling_all_the_time_spends_more_than_planned() -> None:
    assert continuous_polling_level(SequentialBoundary(5).constant) == pytest.approx(0.08268607611, rel=0, abs=1e-8)
