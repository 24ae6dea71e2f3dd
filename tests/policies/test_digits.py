"""Digits that are not lost: large means, regressions on raw numbers, quantiles that scipy has wrong."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest

from policies.base import Correlation, Covariance, Mean, Variance
from policies.gammas import BetaScores
from policies.lm import LM


@pytest.mark.parametrize("centre", [1e10, 1e12, 1e15])
def test_mean_and_variance_keep_their_digits_around_a_large_mean(centre):
    rng = np.random.default_rng(63)
    values = centre + rng.integers(0, 2, 20_000)
    mean, variance, covariance, correlation = Mean({}), Variance({}), Covariance({}), Correlation({})
    for value in values.tolist():
        for estimator in (mean, variance):
            estimator.update(value)
        for estimator in (covariance, correlation):
            estimator.update({"x": value, "y": value - centre})
    ones = int((values - centre).sum())
    n = len(values)
    exact = Fraction(ones, n)
    spread = Fraction(ones * (n - ones), n * (n - 1))
    for theta, key in ((mean.get_dict(), "m"), (variance.get_dict(), "x_bar")):
        theta = json.loads(json.dumps(theta))
        assert abs(Fraction(theta[key]) - int(centre) + Fraction(theta["rest"]) - exact) < 1e-9
        assert theta[key] == pytest.approx(centre + float(exact), rel=1e-15)
    assert variance.get_value() == pytest.approx(float(spread), rel=1e-9)
    assert covariance.get_value() == pytest.approx(float(spread), rel=1e-9)
    assert correlation.get_value() == pytest.approx(1.0, abs=1e-9)


def test_theta_of_ordinary_rewards_has_no_rest():
    rng = np.random.default_rng(64)
    for values in (rng.integers(0, 2, 1000), rng.normal(5.0, 1.0, 1000), [3.0] * 10):
        mean = Mean({})
        for value in values:
            mean.update(value)
        assert set(mean.get_dict()) == {"n", "m"}


def longley():
    """Longley (1967): employment on six economic series; the standard test of least squares."""
    rows = """60323 83.0 234289 2356 1590 107608 1947\n61122 88.5 259426 2325 1456 108632 1948
    60171 88.2 258054 3682 1616 109773 1949\n61187 89.5 284599 3351 1650 110929 1950
    63221 96.2 328975 2099 3099 112075 1951\n63639 98.1 346999 1932 3594 113270 1952
    64989 99.0 365385 1870 3547 115094 1953\n63761 100.0 363112 3578 3350 116219 1954
    66019 101.2 397469 2904 3048 117388 1955\n67857 104.6 419180 2822 2857 118734 1956
    68169 108.4 442769 2936 2798 120445 1957\n66513 110.8 444546 4681 2637 121950 1958
    68655 112.6 482704 3813 2552 123366 1959\n69564 114.2 502601 3931 2514 125368 1960
    69331 115.7 518173 4806 2572 127852 1961\n70551 116.9 554894 4007 2827 130081 1962"""
    return [[Fraction(number) for number in row.split()] for row in rows.split("\n")]


def exact_solution(A, b):
    """Gauss's elimination in rational numbers."""
    rows = [[*row, right] for row, right in zip(A, b, strict=True)]
    n = len(rows)
    for i in range(n):
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(n):
            if j != i:
                rows[j] = [a - rows[j][i] * c for a, c in zip(rows[j], rows[i], strict=True)]
    return [float(row[n]) for row in rows]


def test_lm_solves_longleys_equations():
    model, X, y = LM({}, p=6, add_intercept=True), [], []
    for employed, *series in longley():
        model.update(float(employed), [float(value) for value in series])
        X.append([Fraction(1), *series])
        y.append(employed)
    A = [[sum(row[i] * row[j] for row in X) + (i == j) for j in range(7)] for i in range(7)]
    b = [sum(row[i] * value for row, value in zip(X, y, strict=True)) for i in range(7)]
    assert model.get_coefs() == pytest.approx(exact_solution(A, b), rel=2e-8)


def test_lm_without_a_penalty_is_least_squares_on_raw_years():
    rng = np.random.default_rng(65)
    free, pulled, centred = LM({}, add_intercept=True, lam=1e-9), LM({}, add_intercept=True), LM({}, add_intercept=True)
    years = rng.integers(2015, 2026, 200)
    y = -1000 + 0.5 * years + rng.normal(0, 0.1, 200)
    for year, value in zip(years.tolist(), y.tolist(), strict=True):
        free.update(value, [year])
        pulled.update(value, [year])
        centred.update(value - 10, [year - 2020])

    def rmse(model, shift, off):
        return math.sqrt(np.mean([(model.predict([t - shift]) + off - v) ** 2 for t, v in zip(years, y, strict=True)]))

    ols = np.polyfit(years - 2020.0, y, 1)
    best = math.sqrt(np.mean((np.polyval(ols, years - 2020.0) - y) ** 2))
    assert rmse(free, 0, 0) == pytest.approx(best, rel=0.01)
    assert rmse(centred, 2020, 10) == pytest.approx(best, rel=0.01)
    assert rmse(pulled, 0, 0) > 1.0  # as the documentation says
    assert LM({}, p=1, lam=0.5).get_dict()["A"] == [[0.5]]


def test_a_wrong_inverse_of_the_beta_function_does_no_harm():
    """scipy's betaincinv(1000, b, 1e-13) is wrong for large b; these two are equal but for the last digit of a."""
    for b in (2e8, 1e9, 1e10):
        exact = BetaScores(np.array([1000.0, 1000.0]), np.array([b, b])).best()
        assert exact == pytest.approx([0.5, 0.5], abs=1e-9)
        near = BetaScores(np.array([1000.0, 1000.001]), np.array([b, b])).best()
        beside = BetaScores(np.array([1000.1, 1000.101]), np.array([b, b])).best()
        assert near == pytest.approx(beside, abs=1e-6)
