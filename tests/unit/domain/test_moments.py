"""Running moments against exact arithmetic, at means where sums of squares have no digit left."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from math import sqrt
from operator import add

import numpy as np
import pytest

from app.domain.moments import Moments, moments_of


def exact_error(values: list[float]) -> float:
    """s / sqrt(n) in rational arithmetic, rounded once."""
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    return sqrt(sum((value - mean) ** 2 for value in exact) / (len(exact) - 1) / len(exact))


@pytest.mark.parametrize("shift", [0.0, 1e4, 1e7, 1e9, -1e9])
@pytest.mark.parametrize("parts", [1, 2, 7, 100])
def test_moments_are_those_of_exact_arithmetic_in_one_group_or_in_many(shift: float, parts: int) -> None:
    values = [float(x) for x in shift + np.random.default_rng(1).normal(size=1_000)]
    groups = [moments_of(values[start::parts]) for start in range(parts)]
    whole = reduce(add, groups, Moments())
    assert whole.count == 1_000
    assert whole.mean == pytest.approx(float(sum(map(Fraction, values)) / 1_000), rel=1e-14, abs=1e-14)
    assert whole.standard_error == pytest.approx(exact_error(values), rel=1e-6)


def test_the_reported_case_of_rewards_about_a_billion() -> None:
    """Rewards 1e9 + N(0, 1), n = 4,000: a sum of squares gave an interval of 1.5 where .0449 or so is right."""
    values = [float(x) for x in 1e9 + np.random.default_rng(1).normal(size=2_000)]
    found = moments_of(values).standard_error
    assert found == pytest.approx(exact_error(values), rel=1e-6)
    assert found == pytest.approx(1 / sqrt(2_000), rel=0.1)


@pytest.mark.parametrize("values", [[], [3.0], [3.0] * 10, [0.1] * 1_000, [1e308, -1e308, 1e308]])
def test_where_nothing_is_known_of_the_spread_there_is_no_error(values: list[float]) -> None:
    assert moments_of(values).standard_error is None


def test_an_empty_group_adds_nothing() -> None:
    some = moments_of([1.0, 2.0])
    assert Moments() + some == some + Moments() == some
