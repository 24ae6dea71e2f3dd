"""Ties are shared, exactly and within rounding, by every policy and by what it draws."""

import math

import numpy as np
import pytest

from policies.base import List, Mean
from policies.gaussian import GaussianThompson
from policies.greedy import EpsilonGreedy
from policies.linear import LinearThompson
from policies.linucb import LinUCB
from policies.logistic import LogisticThompson
from policies.quadrature import NormalScores
from policies.squarecb import SquareCB, inverse_gap
from policies.thompson import BernoulliThompson
from policies.ties import leads, pick_best, share_best
from policies.toptwo import TopTwoThompson
from tests.policies.kinds import chi_square, every_contextual_policy


@every_contextual_policy
@pytest.mark.parametrize("context", [[0, 0], {"a": [0, 0], "b": [0, 0], "c": [0, 0]}, {"mobile": 0, "returning": 0}])
def test_a_context_that_says_nothing_leaves_all_arms_alike(kind, context):
    policy = kind({}, ["a", "b", "c"])
    for step in range(9):
        features = {"mobile": 1, "returning": step % 2} if "mobile" in context else [1, step % 2]
        policy.update("abc"[step % 3], float(step % 3 == 1), features)
    np.random.seed(41)
    p = policy.probabilities(context)
    assert list(p.values()) == pytest.approx([1 / 3] * 3, abs=1e-12)
    assert chi_square([policy.draw(context) for _ in range(600)], p) > 1e-6


def test_means_that_differ_by_rounding_tie():
    policy = EpsilonGreedy({}, ["a", "b"], epsilon=0.0)
    for a, b in ((1, 0), (0, 0), (0, 1)):
        policy.update("a", a)
        policy.update("b", b)
    assert policy.get_dict()["a"]["m"] != policy.get_dict()["b"]["m"]
    assert policy.probabilities() == {"a": 0.5, "b": 0.5}
    assert {List(policy.get_dict(), Mean, "ab").max() for _ in range(50)} == {"a", "b"}
    assert {List(policy.get_dict(), Mean, "ab").min() for _ in range(50)} == {"a", "b"}


def test_a_real_difference_is_no_tie():
    assert leads([1.0, 1.0 + 1e-12]) == [False, True]
    assert leads([1e9, 1e9 + 1e-3]) == [False, True]
    assert leads([-1e12, 0.1, 0.2]) == [False, False, True]
    assert leads([0.0, 1e-300]) == [False, True]


def test_infinite_values_tie_with_each_other():
    assert share_best([math.inf, 5.0, math.inf]) == [0.5, 0.0, 0.5]
    assert share_best([-math.inf, -math.inf]) == [0.5, 0.5]


@pytest.mark.parametrize("values", [[math.nan, 1.0], [1.0, math.nan], [math.nan, math.nan]])
def test_there_is_no_best_beside_what_is_no_number(values):
    for of in (leads, share_best, pick_best):
        with pytest.raises(ArithmeticError):
            of(values)


def test_scores_without_spread_are_compared_as_they_are():
    assert NormalScores(np.array([0.5, 0.5, 0.1]), np.zeros(3)).best() == pytest.approx([0.5, 0.5, 0.0])
    theta = {"a": {"A": [[2.0]], "b": [1.0], "n": 1}, "b": {"A": [[2.0]], "b": [1.0], "n": 1}}
    for kind, options in ((LinearThompson, {"v": 0.0}), (LinUCB, {"alpha": 0.0}), (SquareCB, {})):
        policy = kind({**theta, "c": {"A": [[2.0]], "b": [0.0], "n": 1}}, ["a", "b", "c"], **options)
        p = policy.probabilities([1.0])
        assert p["a"] == pytest.approx(p["b"], abs=1e-12)
        np.random.seed(42)
        assert chi_square([policy.draw([1.0]) for _ in range(2000)], p) > 1e-6


def test_inverse_gaps_of_values_that_tie_but_for_rounding():
    assert inverse_gap([0.5, 0.5 + 1e-16, 0.4], 100) == pytest.approx([6 / 13, 6 / 13, 1 / 13], abs=1e-9)


@pytest.mark.parametrize("kind", [BernoulliThompson, TopTwoThompson])
def test_the_vaguest_prior_draws_fresh_arms_alike(kind):
    """Rates of Beta(.05, .05) round to exactly 1: compared as rates, the first arms were drawn more often."""
    policy = kind({}, range(10), prior=(0.05, 0.05))
    np.random.seed(43)
    assert chi_square([policy.draw() for _ in range(20_000)], policy.probabilities()) > 1e-6


def test_vague_priors_of_the_variance_draw_as_they_say():
    """Oracles: two million draws of Student's t, as normal over the root of a chi-square, in logarithms."""
    theta = {"a": {"n": 10, "x_bar": 1.0, "s": 9.0, "v": 1.0}}
    for a0, expected in ((0.001, 0.4964), (0.01, 0.4760), (0.1, 0.3833), (0.25, 0.31976)):
        policy = GaussianThompson(theta, ["a", "b"], a0=a0, b0=a0)
        p = policy.probabilities()
        assert p["b"] == pytest.approx(expected, abs=6e-5)
        np.random.seed(44)
        assert chi_square([policy.draw() for _ in range(5_000)], p) > 1e-6


@pytest.mark.parametrize(("a0", "expected"), [(0.1, 0.354), (0.05, 0.404), (0.01, 0.474), (0.001, 0.497)])
def test_an_arm_without_rewards_beside_two_with_few(a0, expected):
    theta = {"a": {"n": 2, "x_bar": 1.25, "s": 0.125, "v": 0.125}, "b": {"n": 1, "x_bar": 2.0, "s": 0.0, "v": 0.0}}
    policy = GaussianThompson(theta, ["a", "b", "new"], a0=a0, b0=a0)
    p = policy.probabilities()["new"]
    assert p == pytest.approx(expected, abs=0.012)  # of 20,000 draws


def test_logistic_draws_at_a_baseline_visitor_are_fair():
    policy = LogisticThompson({}, ["a", "b"])
    np.random.seed(45)
    assert 400 < sum(policy.draw([0, 0]) == "a" for _ in range(1000)) < 600
