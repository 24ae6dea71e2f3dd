"""Arms that come late or were removed, and groups about which little is known yet."""

import math
import random

import numpy as np
import pytest

from policies.base import Variance
from policies.exp3 import EXP3, EXP3S
from policies.thompson import ThompsonVarList


@pytest.mark.parametrize("kind", [EXP3, EXP3S])
def test_exponential_weights_take_late_rewards_of_removed_arms(kind):
    policy = kind({"log_weights": {"old": 1.0, "b": 2.0}}, ["b", "c"])
    policy.update("old", 1)
    weights = policy.get_dict()["log_weights"]
    assert weights["old"] > 1.0
    policy.update("never seen", 1)
    assert math.fsum(policy.probabilities().values()) == pytest.approx(1.0)


def test_an_arm_that_is_added_late_starts_at_the_mean_weight():
    policy = EXP3({"log_weights": {"a": 30.0, "b": 30.0}}, ["a", "b", "c"], gamma=0.1)
    assert list(policy.probabilities().values()) == pytest.approx([1 / 3] * 3)
    uneven = EXP3({"log_weights": {"a": 30.0, "b": 0.0}}, ["a", "b", "c"], gamma=0.1).probabilities()
    assert uneven["c"] == pytest.approx(0.9 * 0.5 / 1.5 + 0.1 / 3, rel=1e-9)
    policy.update("a", 1.0, propensity=0.5)
    assert policy.get_dict()["log_weights"] == pytest.approx({"a": 30 + 0.1 / 1.5, "b": 30.0, "c": 30.0})


def test_arms_that_were_there_from_the_start_stay_where_they_started():
    policy = EXP3({}, ["a", "b", "c"], gamma=0.1)
    policy.update("a", 1.0, propensity=1 / 3)
    policy.update("a", 1.0, propensity=0.5)
    assert policy.get_dict()["log_weights"] == pytest.approx({"a": 0.1 + 0.1 / 1.5, "b": 0.0, "c": 0.0})


def ratings_trial(seed, **options):
    """100 subjects who rate from 1 to 5; the smallest group and the error of the difference."""
    np.random.seed(seed)
    random.seed(seed)
    shares, thetas = {"a": [0.1, 0.2, 0.4, 0.2, 0.1], "b": [0.05, 0.15, 0.3, 0.3, 0.2]}, {}
    for _ in range(100):
        group = ThompsonVarList(thetas, ["a", "b"], **options).experimentThompson()
        variance = Variance(thetas.get(group, {}))
        variance.update(np.random.choice(5, p=shares[group]))
        thetas[group] = variance.get_dict()
    truth = np.arange(5) @ np.subtract(shares["b"], shares["a"])
    return min(theta["n"] for theta in thetas.values()), thetas["b"]["x_bar"] - thetas["a"]["x_bar"] - truth


def test_no_group_starves_after_two_equal_first_values():
    trials = [ratings_trial(seed) for seed in range(60)]
    assert min(smallest for smallest, _ in trials) >= 20
    assert math.sqrt(np.mean([error**2 for _, error in trials])) < 0.27  # .22 for 50 each; was .62


def test_a_group_that_has_not_varied_yet_has_its_chance():
    """Oracle: under the prior the gains are ratios of chi-squares, so their comparison is an F distribution's."""
    theta = {"a": {"n": 2, "x_bar": 3.0, "s": 0.0, "v": 0.0}, "b": {"n": 2, "x_bar": 3.5, "s": 0.5, "v": 0.5}}
    groups = ThompsonVarList(theta, ["a", "b"])
    # pooled .25: (.25 + 0) / chi2(2) against (.25 + .5) / chi2(2): P = 1 / (1 + 3)
    assert groups.propensity("a") == pytest.approx(0.25, abs=1e-9)
    floored = ThompsonVarList(theta, ["a", "b"], floor=0.2)
    assert floored.propensity("a") == pytest.approx(0.8 * 0.25 + 0.1, abs=1e-9)
    np.random.seed(66)
    drawn = np.mean([floored.experimentThompson() == "a" for _ in range(4000)])
    assert drawn == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 4000))


@pytest.mark.parametrize(("name", "value"), [("nu0", 0.5), ("nu0", math.nan), ("floor", 1.5), ("floor", -0.1)])
def test_parameters_of_the_groups_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        ThompsonVarList({}, ["a"], **{name: value})
