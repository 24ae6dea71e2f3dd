"""What contexts say: features with names are matched by their names, and what is missing decides nothing."""

import json
import math

import numpy as np
import pytest

from policies.checks import MOST_VALUES
from policies.features import features
from policies.linear import LinearThompson
from policies.linucb import HybridLinUCB, LinUCB
from policies.lm import LM
from policies.logistic import LogisticThompson
from tests.policies.kinds import every_contextual_policy


def trained(kind, context, options=None):
    policy = kind({}, ["a", "b"], **(options or {}))
    for step in range(40):
        income = 1.0 if step % 2 else -1.0
        for arm, reward in (("a", float(income > 0)), ("b", float(income < 0))):
            policy.update(arm, reward, context(income))
    return policy


@every_contextual_policy
def test_names_are_matched_and_never_another_feature_is_taken(kind):
    theta = json.loads(json.dumps(trained(kind, lambda income: {"const": 1, "income": income}).get_dict()))
    policy = kind(theta, ["a", "b"])
    assert policy.probabilities({"income": 1, "const": 1})["a"] > 0.5
    assert policy.probabilities({"income": -1, "const": 1})["b"] > 0.5
    refusals = {
        "missing \\['income'\\], unknown \\['visits'\\]": {"const": 1, "visits": 1},
        "missing \\['income'\\], unknown \\['zebra'\\]": {"const": 1, "zebra": -1},
        "missing \\['income'\\], unknown \\[\\]": {"const": 1},
        "missing \\[\\], unknown \\['age'\\]": {"const": 1, "income": 1, "age": 3},
        "must be a mapping": [1, 1],
    }
    for sentence, context in refusals.items():
        before = policy.get_dict()
        for call in (policy.probabilities, policy.pull, policy.draw, lambda given: policy.update("a", 1, given)):
            with pytest.raises(ValueError, match=sentence):
                call(context)
        assert policy.get_dict() == before


@every_contextual_policy
def test_theta_without_names_takes_them_in_their_order_and_keeps_them(kind):
    """So did older versions; from the next reward of each arm on the names are known."""
    theta = trained(kind, lambda income: [1, income]).get_dict()
    policy = kind(theta, ["a", "b"])
    assert policy.probabilities({"const": 1, "income": 1}) == policy.probabilities([1, 1])
    policy.update("a", 1, {"const": 1, "income": 1})
    with pytest.raises(ValueError, match="unknown"):
        policy.probabilities({"const": 1, "zebra": 1})


def test_one_theta_per_arm_keeps_its_names_through_lm():
    theta = trained(LinearThompson, lambda income: {"const": 1, "income": income}).get_dict()["a"]
    model = LM(theta)
    model.update(1.0, [1, 1])
    assert model.get_dict()["names"] == ["const", "income"]


@every_contextual_policy
@pytest.mark.parametrize("nothing", [None, {}])
def test_without_a_context_there_is_one_feature_and_it_learns(kind, nothing):
    policy = kind({}, ["a", "b", "c"])
    np.random.seed(51)
    for _ in range(120):
        arm = policy.draw(nothing)
        policy.update(arm, float(arm == "b"), nothing)
    assert policy.probabilities(nothing)["b"] > 0.6


@every_contextual_policy
@pytest.mark.parametrize("spoilt", [None, math.nan, math.inf, 1e200])
def test_a_spoilt_feature_of_one_arm_is_an_error_for_all(kind, spoilt):
    policy = kind({}, ["p1", "p2", "p3"])
    items = {"p1": [1, 0.2], "p2": [1, spoilt], "p3": [1, 0.9]}
    for call in (policy.probabilities, policy.pull, policy.draw):
        with pytest.raises(ValueError, match=r"'p2'.*finite"):
            call(items)
    with pytest.raises(ValueError, match=r"'p2'.*finite"):
        policy.update("p2", 1.0, items)
    policy.update("p1", 1.0, items)  # its own features are all there


@pytest.mark.parametrize("row", [[1, None], [1, math.nan], [1, 1e200], ["x", 1], [], 5])
def test_features_of_arms_are_checked_too(row):
    with pytest.raises(ValueError, match="arm_features of 'a'"):
        HybridLinUCB({}, ["a", "b"], {"a": row, "b": [1, 0]})
    with pytest.raises(ValueError, match="as many features"):
        HybridLinUCB({}, ["a", "b"], {"a": [1], "b": [1, 0]})


def test_arms_with_different_numbers_of_features_are_refused():
    with pytest.raises(ValueError, match="not as many each"):
        features({"a": [1, 2], "b": [1]}, ["a", "b"])


@pytest.mark.parametrize("kind", [LinUCB, LogisticThompson, HybridLinUCB])
def test_what_will_not_fit_into_theta_is_refused_at_the_first_call(kind):
    arms, x = [f"arm {i}" for i in range(894)], [1.0] * 20
    for call in (kind({}, arms).pull, lambda given: kind({}, arms).update("arm 0", 1.0, given)):
        with pytest.raises(ValueError, match=f"894 arms and 20 features.* {MOST_VALUES:,} can be stored"):
            call(x)


def test_logistic_theta_of_older_versions_is_read():
    policy = LogisticThompson({"a": {"m": [1.0, 0.0], "q": [4.0, 9.0]}}, ["a", "b"])
    assert policy.probabilities([1, 0])["a"] > 0.5
    policy.update("a", 1.0, [1, 2])
    theta = policy.get_dict()["a"]
    assert set(theta) == {"m", "P"}
    assert theta["P"][0][1] == theta["P"][1][0] > 0.0


def test_logistic_posterior_is_that_of_the_whole_batch():
    """Intercept and a feature in [0, 1], as in its own default. Oracle: Newton's method on all rewards at once."""
    rng = np.random.default_rng(0)
    policy, rows, rewards = LogisticThompson({}, ["a"]), [], []
    for _ in range(3000):
        x = [1.0, rng.random()]
        reward = float(rng.random() < 1 / (1 + math.exp(1 - 2 * x[1])))
        policy.update("a", reward, x)
        rows.append(x)
        rewards.append(reward)
    X, y, m = np.array(rows), np.array(rewards), np.zeros(2)
    for _ in range(30):
        p = 1 / (1 + np.exp(-X @ m))
        H = np.eye(2) + (X.T * (p * (1 - p))) @ X
        m = m + np.linalg.solve(H, X.T @ (y - p) - m)
    sd = np.sqrt(np.diag(np.linalg.inv(H)))
    theta = policy.get_dict()["a"]
    assert np.abs(np.array(theta["m"]) - m) == pytest.approx([0, 0], abs=0.1 * sd.min())
    assert np.sqrt(np.diag(np.linalg.inv(theta["P"]))) == pytest.approx(sd, rel=0.03)
    assert np.abs(m - [-1, 2]).max() < 4 * sd.max()
