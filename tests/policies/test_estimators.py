"""The streaming estimators and the StreamingBandit-compatible classes on top of them."""

import json
import math
import random

import numpy as np
import pytest
import scipy.special as sc

from policies.base import Correlation, Count, Covariance, List, Mean, Proportion, Variance
from policies.bts import BTS
from policies.features import features
from policies.lif import LiF
from policies.lm import LM
from policies.ridge import invert
from policies.tbl import ThompsonBayesianLinear
from policies.thompson import BBThompsonList, ThompsonVarList

KEYS = {
    Count: {"n"},
    Mean: {"n", "m"},
    Proportion: {"p", "n"},
    Variance: {"n", "x_bar", "s", "v"},
    Covariance: {"n", "x_bar", "y_bar", "cov"},
    Correlation: {"n", "x_bar", "y_bar", "x_s", "y_s", "x_v", "y_v", "cov", "c"},
}


@pytest.mark.parametrize("kind", KEYS)
def test_theta_has_the_keys_that_clients_read(kind):
    assert set(kind({}).get_dict()) == KEYS[kind]
    assert kind({}).get_value() == kind(default={}).get_value() == 0.0


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_estimators_agree_with_numpy(scale, shift):
    rng = np.random.default_rng(1)
    x = scale * (shift + rng.normal(size=500))
    y = 0.5 * x + scale * rng.normal(size=500)
    mean, variance, covariance, correlation = Mean({}), Variance({}), Covariance({}), Correlation({})
    for a, b in zip(x, y, strict=True):
        mean.update(a)
        variance.update(a)
        covariance.update({"x": a, "y": b})
        correlation.update({"x": a, "y": b})
    assert mean.get_value() == pytest.approx(x.mean(), rel=1e-9)
    assert variance.get_value() == pytest.approx(x.var(ddof=1), rel=1e-9)
    assert covariance.get_value() == pytest.approx(np.cov(x, y)[0, 1], rel=1e-9)
    assert correlation.get_value() == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-9)
    assert mean.get_count() == variance.get_count() == correlation.get_count() == 500


def test_estimators_go_on_from_their_theta():
    once, twice = Correlation({}), Correlation({})
    for i in range(20):
        pair = {"x": i % 7, "y": i % 5}
        once.update(pair)
        twice = Correlation(json.loads(json.dumps(twice.get_dict())))
        twice.update(pair)
    assert once.get_dict() == twice.get_dict()


def test_a_constant_has_no_correlation():
    correlation = Correlation({})
    for i in range(5):
        correlation.update({"x": 1, "y": i})
    assert correlation.get_value() == 0.0


def test_an_estimator_does_not_change_the_theta_it_was_given():
    theta = {"n": 1, "m": 1.0}
    Mean(theta).update(3)
    assert theta == {"n": 1, "m": 1.0}


def test_a_list_starts_missing_names_and_leaves_out_removed_ones():
    arms = List({"1": {"n": 3, "m": 2.0}, "gone": {"n": 9, "m": 9.0}}, Mean, [1, 10])
    assert arms.count() == 3
    assert arms.max() == 1
    assert arms.get_value() == {"1": 2.0, "10": 0.0}
    assert arms.get_dict()["10"] == {"n": 0, "m": 0.0}


def test_a_list_shares_ties_at_random():
    random.seed(1)
    arms = List({}, Proportion, ["a", "b", "c"])
    assert {arms.max() for _ in range(50)} == {arms.min() for _ in range(50)} == {arms.random() for _ in range(50)}


def test_thompson_list_keeps_arms_without_successes_or_failures_apart():
    thetas = {"none": {"p": 0.0, "n": 100}, "all": {"p": 1.0, "n": 100}}
    arms = BBThompsonList(thetas, ["none", "all"])
    np.random.seed(1)
    assert {arms.thompson() for _ in range(200)} == {"all"}
    assert arms.propensity("all", n=1000) == pytest.approx(1.0)
    assert arms.propensity("all") + arms.propensity("none") == 1.0


def test_thompson_list_draws_as_often_as_its_propensity_says():
    thetas = {"a": {"p": 0.3, "n": 10}, "b": {"p": 0.5, "n": 10}, "new": {}}
    arms = BBThompsonList({name: theta for name, theta in thetas.items() if theta}, list(thetas))
    np.random.seed(2)
    draws = [arms.thompson() for _ in range(20_000)]
    for name in thetas:
        p = arms.propensity(name)
        assert draws.count(name) / 20_000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 20_000))


def test_subjects_go_to_the_noisy_group_in_proportion_to_its_standard_deviation():
    np.random.seed(3)
    random.seed(3)
    thetas, sd = {}, {"calm": 1.0, "noisy": 3.0}
    for _ in range(2000):
        group = ThompsonVarList(thetas, list(sd)).experimentThompson()
        variance = Variance(thetas.get(group, {}))
        variance.update(np.random.normal(0, sd[group]))
        thetas[group] = variance.get_dict()
    assert thetas["noisy"]["n"] / 2000 == pytest.approx(0.75, abs=0.05)


def test_groups_that_never_vary_are_shared():
    thetas = {name: {"n": 5, "x_bar": 1.0, "s": 0.0, "v": 0.0} for name in "ab"}
    random.seed(4)
    assert {ThompsonVarList(thetas, ["a", "b"]).experimentThompson() for _ in range(30)} == {"a", "b"}


@pytest.mark.parametrize(
    ("n0", "s0", "n1", "s1"),
    [(2, 1.0, 2, 1.0), (5, 3.0, 7, 9.0), (20, 19.0, 20, 190.0), (3, 1e-12, 2, 1.0), (10**6, 1e6, 10**6, 1.001e6)],
)
def test_the_propensity_of_a_group_of_two_is_an_f_distribution(n0, s0, n1, s1):
    thetas = {"a": {"n": n0, "x_bar": 0.0, "s": s0, "v": 1.0}, "b": {"n": n1, "x_bar": 0.0, "s": s1, "v": 1.0}}
    groups = ThompsonVarList(thetas, ["a", "b"])
    pooled = (s0 + s1) / (n0 + n1 - 2)  # what the prior adds to each sum of squares, as one observation
    ratio = (s0 + pooled) / (n0 * (n0 + 1)) / ((s1 + pooled) / (n1 * (n1 + 1)))
    assert groups.propensity("a") == pytest.approx(sc.fdtr(n0, n1, ratio * n1 / n0), abs=1e-9)
    assert groups.propensity("a") + groups.propensity("b") == pytest.approx(1.0, abs=1e-9)


def test_groups_are_drawn_as_often_as_their_propensities_say():
    thetas = {
        name: {"n": n, "x_bar": 0.0, "s": s, "v": 1.0} for name, n, s in (("a", 4, 5.0), ("b", 9, 20.0), ("c", 6, 6.0))
    }
    groups = ThompsonVarList(thetas | {"flat": {"n": 3, "x_bar": 1.0, "s": 0.0, "v": 0.0}}, [*thetas, "flat"])
    np.random.seed(5)
    draws = [groups.experimentThompson() for _ in range(20_000)]
    for name in [*thetas, "flat"]:
        p = groups.propensity(name)
        assert draws.count(name) / 20_000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 20_000))


def test_fresh_groups_and_groups_that_never_vary_share_the_propensity():
    flat = {"n": 5, "x_bar": 1.0, "s": 0.0, "v": 0.0}
    assert ThompsonVarList({"a": flat, "b": flat}, ["a", "b"]).propensity("a") == 0.5
    groups = ThompsonVarList({"a": flat}, ["a", "b", "c"])
    assert [groups.propensity(name) for name in "abc"] == [0.0, 0.5, 0.5]


def test_lm_is_ridge_regression():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    theta = {}
    for row, value in zip(X, y, strict=True):
        model = LM(theta)
        model.update(value, row.tolist())
        theta = json.loads(json.dumps(model.get_dict()))
    assert set(theta) == {"b", "A", "n"}
    assert theta["n"] == 50
    expected = np.linalg.solve(np.eye(3) + X.T @ X, X.T @ y)
    assert LM(theta).get_coefs() == pytest.approx(expected)
    assert LM(theta).predict(X[0]) == pytest.approx(float(expected @ X[0]))


def test_lm_reads_older_theta_and_weighs_observations():
    model = LM({"b": [[0, 0]], "A": "[[1, 0], [0, 1]]", "n": 0}, add_intercept=True)
    model.update(4.0, [2.0], discount=0.5)
    assert model.get_dict() == {"b": [2.0, 4.0], "A": [[1.5, 1.0], [1.0, 3.0]], "n": 1}
    assert LM({}).predict([1, 2]) == 0.0
    assert LM({}, p=2, add_intercept=True).get_coefs().tolist() == [0.0] * 3


def test_bayesian_linear_regression_draws_from_its_posterior():
    model = ThompsonBayesianLinear({"J": [0, 0], "P": [[1, 0], [0, 1]], "err": 2})
    rng = np.random.default_rng(6)
    X = rng.normal(size=(20, 2))
    for row in X:
        model.update(float(row @ [1.0, -2.0]), row)
    covariance = np.linalg.inv(np.eye(2) + X.T @ X / 2)
    np.random.seed(6)
    again = ThompsonBayesianLinear(json.loads(json.dumps(model.get_dict())))
    draws = np.array([again.sample() for _ in range(4000)])
    assert draws.mean(axis=0) == pytest.approx(covariance @ (X.T @ (X @ [1.0, -2.0]) / 2), abs=0.03)
    assert np.cov(draws.T) == pytest.approx(covariance, abs=0.02)


def test_bayesian_linear_regression_takes_its_size_from_the_first_observation():
    model = ThompsonBayesianLinear({})
    assert model.sample().shape == (2,)
    model.update(y=1.0, x=[1, 2, 4], discount=0.5)
    assert model.get_dict()["P"][2] == [2.0, 4.0, 9.0]


def test_bootstrap_replicates_spread_like_the_sampling_distribution():
    np.random.seed(7)
    default = {"b": [0.0], "A": [[1.0]], "n": 0}
    theta = {}
    for y in np.random.normal(3.0, 2.0, size=100):
        replicates = BTS(theta, LM, m=200, default_params=default)
        replicates.update(y, [1.0])
        theta = json.loads(json.dumps(replicates.get_dict()))
    means = [float(LM(replicate).get_coefs()[0]) for replicate in theta.values()]
    assert np.mean(means) == pytest.approx(3.0, abs=0.5)
    assert np.std(means) == pytest.approx(0.2, abs=0.06)  # 2 / sqrt(100)
    assert {replicate["n"] % 2 for replicate in theta.values()} == {0}  # twice or never


def test_bootstrap_starts_from_noisy_defaults_or_from_one_theta():
    np.random.seed(8)
    default = {"b": [0.0, 0.0], "A": [[1.0, 0.0], [0.0, 1.0]], "n": 0}
    noisy = BTS({}, LM, m=5, default_params=default).get_dict()
    assert list(noisy) == ["0", "1", "2", "3", "4"]
    assert len({tuple(replicate["b"]) for replicate in noisy.values()}) == 5
    assert all(replicate["A"] == default["A"] for replicate in noisy.values())
    assert BTS({}, LM, m=3, default_params=default, param_noise=False).sample() == default
    assert BTS({"n": 2, "m": 0.5}, Mean, m=3).sample() == {"n": 2, "m": 0.5}
    assert list(BTS(noisy, LM, m=7).get_dict().values())[5:] == [noisy["0"], noisy["1"]]


@pytest.mark.parametrize("version", [1, 2])
def test_lock_in_feedback_finds_the_top_in_noise(version):
    np.random.seed(9)
    theta = {}
    for _ in range(4000):
        policy = LiF(theta, x0=1.0, a=0.5, t=40, gamma={1: 1.0, 2: 0.05}[version], omega=0.8, lifversion=version)
        move = policy.suggest()
        policy.update(move["t"], move["x"], np.random.normal(5 - (move["x"] - 3) ** 2, 0.5), move["x0"])
        theta = json.loads(json.dumps(policy.get_dict()))
    assert set(theta) == {"Yw", "t", "x0"}
    assert theta["t"] == 4000
    assert theta["x0"] == pytest.approx(3.0, abs=0.25)
    assert LiF.propensity is None


def test_lock_in_feedback_reads_older_theta_and_computes_a_missing_centre():
    old = {"Yw": "[[1.0, 2.0, 0.5], [NaN, NaN, NaN]]", "t": 1, "x0": 2.0}
    policy = LiF(old, a=0.5, t=2, gamma=1.0, omega=1.0, lifversion=1)
    policy.update(2, 1.8, 3.0)
    assert policy.get_dict() == {"Yw": [], "t": 2, "x0": pytest.approx(2.0 + (0.5 + 3.0 * 0.5 * math.cos(2.0)) / 2)}
    with pytest.raises(ValueError, match="lifversion"):
        LiF({}, lifversion=3)


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((2, 2)),
        np.ones((2, 2)),
        np.array([[1e24, 1.0], [1.0, 1e-24]]),
        np.array([[1.0, 1.0], [1.0, 1.0 + 1e-15]]),
    ],
)
def test_singular_matrices_give_finite_inverses_with_large_variances(matrix):
    inverse = invert(matrix[None])[0]
    assert np.isfinite(inverse).all()
    assert (np.linalg.eigvalsh(inverse) > 0).any()


def test_inverses_of_regular_matrices_are_exact_beside_singular_ones():
    regular = np.array([[2.0, 0.5], [0.5, 1.0]])
    assert invert(np.stack([np.ones((2, 2)), regular]))[1] @ regular == pytest.approx(np.eye(2))


@pytest.mark.parametrize("context", [[[1, 2], [3, 4]], [1.0, math.nan], "text", {"a": {"b": 1}}, {"a": [1.0]}])
def test_a_context_that_is_no_list_of_numbers_is_refused(context):
    with pytest.raises((ValueError, TypeError)):
        features(context, ["a", "b"])
