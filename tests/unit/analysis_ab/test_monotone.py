"""Monotone in effect, size and level; symmetric in the arms; indifferent to units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from app.analysis.ab.compare.barnard import BarnardTest
from app.analysis.ab.compare.boschloo import BoschlooTest
from app.analysis.ab.compare.counts import CountsTest
from app.analysis.ab.compare.equivalence import EquivalenceTest
from app.analysis.ab.compare.fisher import FisherTest
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.proportions import ProportionsTest
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.live.posterior import beta_posterior, normal_posterior
from app.analysis.ab.multiple import benjamini_hochberg, holm
from app.analysis.ab.plan.counts import counts_sample_size, detectable_rate_difference
from app.analysis.ab.plan.equivalence import equivalence_power, equivalence_sample_size
from app.analysis.ab.plan.fisher import fisher_sample_size
from app.analysis.ab.plan.means import detectable_mean_difference, means_sample_size
from app.analysis.ab.plan.precision import precision_sample_size
from app.analysis.ab.plan.proportions import detectable_proportion_difference, proportions_sample_size
from app.analysis.ab.plan.traffic import Traffic
from app.analysis.ab.sequential.boundaries import SequentialBoundary
from app.analysis.ab.sequential.mixture import MixtureTest
from app.analysis.ab.statistic import EventCount, Proportion, SampleMean
from tests.unit.analysis_ab.properties import given

RATES = st.floats(0.01, 0.6)
EFFECTS = st.floats(1, 60)
POWERS = st.floats(0.5, 0.99)
LEVELS = st.floats(0.001, 0.2)


@given(RATES, EFFECTS, EFFECTS, LEVELS, POWERS)
def test_a_larger_effect_takes_fewer_persons(rate: float, one: float, two: float, alpha: float, power: float) -> None:
    small, large = sorted([one, two])
    for size in (
        lambda mde: proportions_sample_size(rate, mde, alpha, power).exact,
        lambda mde: means_sample_size(1.0, mde / 100, alpha, power).exact,
        lambda mde: counts_sample_size(rate, mde, 1.0, alpha, power).events,
        lambda mde: equivalence_sample_size(1.0, mde / 100, alpha, power).exact,
    ):
        assert size(large) <= size(small)


@given(RATES, EFFECTS, LEVELS, LEVELS, POWERS, POWERS)
def test_more_certainty_takes_more_persons(
    rate: float, mde: float, alpha1: float, alpha2: float, power1: float, power2: float
) -> None:
    strict, lax = sorted([alpha1, alpha2])
    low, high = sorted([power1, power2])
    for size in (
        lambda alpha, power, arms: proportions_sample_size(rate, mde, alpha, power, arms).exact,
        lambda alpha, power, arms: means_sample_size(1.0, mde / 100, alpha, power, arms).exact,
        lambda alpha, power, arms: counts_sample_size(rate, mde, 1.0, alpha, power, arms).events,
    ):
        assert size(lax, low, 2) <= size(strict, high, 2) <= size(strict, high, 5)


@given(RATES, EFFECTS, LEVELS, POWERS)
def test_the_detectable_effect_of_a_plan_is_its_effect(rate: float, mde: float, alpha: float, power: float) -> None:
    n = proportions_sample_size(rate, mde, alpha, power).exact
    assert detectable_proportion_difference(rate, n, alpha, power) == pytest.approx(rate * mde / 100, rel=1e-6)
    n = means_sample_size(2.0, mde, alpha, power).exact
    assert detectable_mean_difference(2.0, n, alpha, power) == pytest.approx(mde)
    events = counts_sample_size(rate, mde, 1.0, alpha, power).events
    exposure = events / (rate * (2 + mde / 100))
    assert detectable_rate_difference(rate, exposure, alpha, power) == pytest.approx(rate * mde / 100, rel=1e-6)


@given(st.floats(0.01, 0.99), st.integers(2, 10**7), st.integers(2, 10**7))
def test_more_persons_detect_smaller_effects(rate: float, n1: int, n2: int) -> None:
    few, many = sorted([n1, n2])
    one, two = (detectable_proportion_difference(rate, n) for n in (few, many))
    if one is not None:
        assert two is not None
        assert two <= one


@given(st.floats(0.1, 10), st.floats(0.01, 1), LEVELS, POWERS)
def test_the_plan_of_equivalence_is_the_smallest(sd: float, margin: float, alpha: float, power: float) -> None:
    n = equivalence_sample_size(sd, margin, alpha, power).per_variant
    assert equivalence_power(sd, margin, n, alpha) >= power - 1e-9
    assert n == 1 or equivalence_power(sd, margin, n - 1, alpha) < power + 1e-9


@given(st.floats(0.2, 0.5), st.floats(50, 90), examples=15)
def test_fisher_takes_at_least_as_many_as_the_z_test(rate: float, mde: float) -> None:
    assert fisher_sample_size(rate, mde).per_variant >= proportions_sample_size(rate, mde).per_variant


@given(st.floats(0.01, 2), st.floats(0.01, 2))
def test_a_narrower_interval_takes_more_persons(one: float, two: float) -> None:
    narrow, wide = sorted([one, two])
    assert precision_sample_size(1.0, narrow).exact >= precision_sample_size(1.0, wide).exact


@given(st.integers(1, 10**7), st.lists(st.floats(0.1, 10), min_size=2, max_size=6), st.floats(1, 1e6))
def test_a_duration_is_just_long_enough(n: int, split: list[float], daily: float) -> None:
    traffic = Traffic(daily, 0.5, tuple(split), holdout=0.1, exclusive=3)
    days = traffic.days(n)
    rate = traffic.allocated * min(traffic.shares)
    assert days * rate >= n * (1 - 1e-9)
    assert days == 1 or (days - 1) * rate < n * (1 + 1e-9)
    assert len(traffic.exposures(days)) == len(split)
    assert min(traffic.exposures(days)) >= min(n, int(days * rate)) - 1


@pytest.mark.parametrize("shape", ["obrien_fleming", "pocock"])
def test_more_looks_cost_more(shape: str) -> None:
    boundaries = [SequentialBoundary(k, 0.05, shape) for k in range(1, 12)]
    constants = [each.constant for each in boundaries]
    inflations = [each.inflation(0.8) for each in boundaries]
    assert constants == sorted(constants)
    assert inflations == sorted(inflations)
    assert (inflations[0], constants[0]) == (pytest.approx(1.0), pytest.approx(1.959963984540054))
    for boundary in boundaries:
        looks = boundary.looks()
        assert [look.is_final for look in looks] == [False] * (len(looks) - 1) + [True]
        assert sum(look.incremental_alpha for look in looks) == pytest.approx(0.05)
        assert list(boundary.z) == sorted(boundary.z, reverse=True)


@st.composite
def arms(draw: st.DrawFn, most: int) -> tuple[Proportion, Proportion]:
    sizes = draw(st.integers(2, most)), draw(st.integers(2, most))
    return tuple(Proportion(draw(st.integers(0, n)), n) for n in sizes)  # type: ignore[return-value]


def complement(arm: Proportion) -> Proportion:
    return Proportion(arm.n - arm.successes, arm.n)


@given(arms(20), examples=40)
def test_proportions_are_symmetric_in_arms_and_in_outcomes(pair: tuple[Proportion, Proportion]) -> None:
    control, treatment = pair
    for kind in (ProportionsTest, FisherTest, BarnardTest, BoschlooTest):
        one = kind(control, treatment).result()
        swapped = kind(treatment, control).result()
        opposite = kind(complement(control), complement(treatment)).result()
        for other in (swapped, opposite):
            assert other.p_value == pytest.approx(one.p_value, rel=1e-7, abs=1e-12)
            assert other.observed_effect == pytest.approx(-one.observed_effect)
            assert (other.ci_lower, other.ci_upper) == (pytest.approx(-one.ci_upper), pytest.approx(-one.ci_lower))


@given(arms(3000))
def test_the_posterior_is_symmetric(pair: tuple[Proportion, Proportion]) -> None:
    one, two = beta_posterior(*pair), beta_posterior(*pair[::-1])
    assert one.probability + two.probability == pytest.approx(1.0, abs=1e-9)
    assert one.loss_treatment == pytest.approx(two.loss_control, rel=1e-8, abs=1e-13)


MEANS = st.builds(SampleMean, st.floats(-100, 100), st.floats(0.1, 50), st.integers(2, 500))


@given(MEANS, MEANS, st.floats(0.01, 1000), st.floats(-1000, 1000))
def test_means_are_indifferent_to_units(control: SampleMean, treatment: SampleMean, unit: float, origin: float) -> None:
    def other(arm: SampleMean) -> SampleMean:
        return SampleMean(origin + unit * arm.mean, unit * arm.sd, arm.n)

    one, two = WelchTest(control, treatment).result(), WelchTest(other(control), other(treatment)).result()
    assert two.p_value == pytest.approx(one.p_value, rel=1e-5, abs=1e-12)
    assert two.ci_upper == pytest.approx(unit * one.ci_upper, rel=1e-6, abs=1e-6)
    assert WelchTest(treatment, control).result().p_value == pytest.approx(one.p_value)
    assert one.ci_disagrees is False


@given(MEANS, MEANS, st.floats(0.1, 100))
def test_equivalence_and_its_interval_agree(control: SampleMean, treatment: SampleMean, margin: float) -> None:
    found = EquivalenceTest(control, treatment, margin).result()
    assume(abs(found.p_value - 0.05) > 1e-9)
    assert found.ci_disagrees is False
    assert found.is_significant == (found.verdict_code == "equivalent")


VALUES = st.lists(st.integers(-20, 20), min_size=2, max_size=20)


@given(VALUES, VALUES)
def test_ranks_are_symmetric_and_their_interval_agrees(x: list[int], y: list[int]) -> None:
    one, two = MannWhitneyTest(x, y).result(), MannWhitneyTest(y, x).result()
    assert two.p_value == pytest.approx(one.p_value)
    assert two.effect_size == pytest.approx(-one.effect_size)
    assert (two.ci_lower, two.ci_upper) == (-one.ci_upper, -one.ci_lower)
    assert one.ci_lower <= one.observed_effect <= one.ci_upper
    if len(set(x + y)) == len(x + y) and one.is_significant:
        assert one.ci_disagrees is False


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.1, 10))
def test_counts_are_symmetric(x: int, y: int, exposure: float) -> None:
    one = CountsTest(EventCount(x, 1.0), EventCount(y, exposure)).result()
    two = CountsTest(EventCount(y, exposure), EventCount(x, 1.0)).result()
    assert two.p_value == pytest.approx(one.p_value, rel=1e-6)
    assert (two.ci_lower, two.ci_upper) == (pytest.approx(-one.ci_upper), pytest.approx(-one.ci_lower))
    if x and y:
        assert two.effect_size_ci_lower == pytest.approx(1 / one.effect_size_ci_upper)  # type: ignore[operator]


@given(st.floats(-5, 5), st.floats(0.01, 5))
def test_losses_add_up(difference: float, error: float) -> None:
    found = normal_posterior(difference, error)
    assert found.loss_control - found.loss_treatment == pytest.approx(difference, abs=1e-12)
    assert min(found.loss_control, found.loss_treatment) >= 0


@given(st.floats(-3, 3), st.floats(1e-4, 1), st.floats(1e-4, 1), LEVELS)
def test_an_always_valid_p_and_its_interval_agree(d: float, v: float, tau: float, alpha: float) -> None:
    test = MixtureTest(d, v, tau, alpha)
    assume(abs(test.p_value - alpha) > 1e-9)
    assert (test.p_value < alpha) == test.interval.excludes(0.0)
    assert MixtureTest(-d, v, tau, alpha).p_value == test.p_value


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_corrections_are_ordered(p: list[float]) -> None:
    raw = np.array(p)
    bh, each = benjamini_hochberg(raw), holm(raw)
    assert (raw <= bh + 1e-15).all()
    assert (bh <= each + 1e-12).all()
    assert (each <= np.minimum(1, len(p) * raw) + 1e-12).all()
    order = np.argsort(raw)
    assert (np.diff(bh[order]) >= 0).all()
    assert (np.diff(each[order]) >= 0).all()
