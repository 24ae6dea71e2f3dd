"""Intervals against scipy's own, and how often they contain the truth of skewed numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from app.analysis.intervals import BOOTSTRAP_FROM, mean_interval, mean_intervals, quantiles, student, wilson
from app.domain.moments import moments_of


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 4), (4, 4), (3, 7), (120, 400), (1, 100_000)])
def test_wilson_is_scipys(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 29])
def test_below_thirty_values_the_interval_is_students(n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n).tolist()
    expected = stats.t.interval(0.95, n - 1, np.mean(values), stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected, rel=1e-12)
    assert student(moments_of(values)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("values", [[1.0], [2.0] * 10, [0.1] * 50])
def test_values_that_are_all_equal_have_no_interval(values: list[float]) -> None:
    assert mean_interval(values) is None
    assert student(moments_of(values)) is None


def test_columns_have_the_intervals_that_they_have_alone() -> None:
    values = np.random.default_rng(3).exponential(size=(60, 4)) * [1, 10, 1e6, 0]
    low, high = mean_intervals(values)
    for column in range(3):
        assert mean_interval(values[:, column].tolist()) == pytest.approx((low[column], high[column]), rel=1e-9)
    assert low[3] == high[3] == 0


def test_bootstrap_t_agrees_with_scipys_studentized_bootstrap_in_kind() -> None:
    """An independent loop: resample, standardise, invert; the same up to the noise of resampling."""
    values = np.random.default_rng(5).lognormal(size=40)
    rng, n = np.random.default_rng(9), len(values)
    t = []
    for _ in range(4_000):
        again = rng.choice(values, n)
        t.append((again.mean() - values.mean()) / (again.std(ddof=1) / np.sqrt(n)))
    error = values.std(ddof=1) / np.sqrt(n)
    expected = values.mean() - np.quantile(t, [0.975, 0.025]) * error
    assert mean_interval(values.tolist()) == pytest.approx(expected.tolist(), abs=0.15 * (expected[1] - expected[0]))


def test_intervals_of_skewed_numbers_from_thirty_on_contain_the_truth() -> None:
    """Regret is mostly small and now and then large. 500 samples: the standard error of a coverage of .95 is .010.

    Student's t covers .87 of these; 4 standard errors below .95 is .911.
    """
    rng = np.random.default_rng(1)
    samples = rng.lognormal(sigma=1.0, size=(BOOTSTRAP_FROM, 500))
    truth = np.exp(0.5)
    low, high = np.array([mean_interval(column.tolist()) for column in samples.T]).T
    assert np.mean((low <= truth) & (truth <= high)) > 0.911


def test_quantiles_are_numpys_and_plain_floats() -> None:
    values = np.random.default_rng(2).normal(size=99).tolist()
    found = quantiles(values)
    assert found == pytest.approx(np.quantile(values, [0.05, 0.5, 0.95]).tolist())
    assert all(type(value) is float for value in found)
