"""A number that is not finite never enters theta, in estimators as in policies; and digits that are not lost."""

import math

import numpy as np
import pytest

from policies.base import Correlation, Count, Covariance, List, Mean, Proportion, Variance
from policies.bts import BTS, BootstrappedThompson
from policies.checks import MOST_VALUES
from policies.discount import DiscountedThompson
from policies.lif import LiF
from policies.lm import LM
from policies.slate import Slate
from policies.tbl import ThompsonBayesianLinear
from policies.thompson import BBThompsonList, BernoulliThompson
from policies.window import SlidingWindowThompson, SlidingWindowUCB

NOT_FINITE = [math.nan, math.inf, -math.inf, np.float64("nan")]


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("kind", [Count, Mean, Proportion, Variance, Covariance, Correlation])
def test_estimators_refuse_what_is_not_finite(kind, value):
    pair = kind in (Covariance, Correlation)
    estimator = kind({})
    estimator.update({"x": 1, "y": 2} if pair else 1)
    before = estimator.get_dict()
    for given in [{"x": value, "y": 1}, {"x": 1, "y": value}] if pair else [value]:
        with pytest.raises(ValueError, match="must be a finite number"):
            estimator.update(given)
    assert estimator.get_dict() == before


def test_a_list_with_one_that_holds_no_number_says_whose():
    arms = List({"a": {"n": 3, "m": math.nan}, "b": {"n": 2, "m": 1.0}}, Mean, ["a", "b"])
    for best in (arms.max, arms.min):
        with pytest.raises(ValueError, match=r"the estimates of \['a'\] are not numbers"):
            best()


@pytest.mark.parametrize(("kind", "values"), [(Mean, (1e308, -1e308)), (Variance, (1e200, -1e200))])
def test_estimators_refuse_what_overflows(kind, values):
    estimator = kind({})
    estimator.update(values[0])
    before = estimator.get_dict()
    with pytest.raises(ValueError, match=f"{kind.__name__}: '.*' would not be a finite number"):
        estimator.update(values[1])
    assert estimator.get_dict() == before


def test_a_logarithm_of_zero_leaves_the_mean_as_it_was():
    mean = Mean({})
    mean.update(math.log(2))
    with pytest.raises(ValueError, match="value is -inf"), np.errstate(divide="ignore"):
        mean.update(np.log(0))
    mean.update(math.log(3))
    assert mean.get_value() == pytest.approx(math.log(6) / 2)


def test_an_estimator_that_holds_one_can_be_read_and_replaced():
    spoilt = Mean({"n": 3, "m": math.nan})
    assert math.isnan(spoilt.get_value())
    assert spoilt.get_count() == 3
    with pytest.raises(ValueError, match="'m' would not be a finite number"):
        spoilt.update(1)
    assert Mean({}).get_dict() == {"n": 0, "m": 0.0}


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("model", [LM({}, p=2), ThompsonBayesianLinear({"J": [0, 0], "P": [[1, 0], [0, 1]], "err": 1})])
def test_regressions_refuse_what_is_not_finite(model, value):
    before = model.get_dict()
    for given in ({"y": value, "x": [1, 2]}, {"y": 1, "x": [1, value]}, {"y": 1, "x": [1, 2], "discount": value}):
        with pytest.raises(ValueError, match="finite"):
            model.update(**given)
    for given in ({"y": 1e308, "x": [1e10, 1]}, {"y": 1, "x": [1e200, 1]}):
        with pytest.raises(ValueError, match="too large"):
            model.update(**given)
    assert model.get_dict() == before


def test_regressions_refuse_parameters_out_of_range():
    for err in (0, -1, math.nan):
        with pytest.raises(ValueError, match=r"err is .* above 0"):
            ThompsonBayesianLinear({"J": [0], "P": [[1]], "err": err})
    with pytest.raises(ValueError, match="lam is -1"):
        LM({}, lam=-1)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_replicates_refuse_what_is_not_finite(value):
    replicates = BTS({}, LM, m=20, default_params={"b": [0.0], "A": [[1.0]], "n": 0})
    before = replicates.get_dict()
    np.random.seed(61)
    with pytest.raises(ValueError, match="finite"):
        replicates.update(value, [1.0])
    assert replicates.get_dict() == before


@pytest.mark.parametrize("value", NOT_FINITE)
def test_lock_in_feedback_refuses_what_is_not_finite(value):
    policy = LiF({}, t=1)
    policy.update(1, 1.0, 2.0, 1.0)
    before = policy.get_dict()
    for given in ((2, value, 1.0, 1.0), (2, 1.0, value, 1.0), (2, 1.0, 1.0, value), (2, 1e200, 1e200, 1.0)):
        with pytest.raises(ValueError, match="finite number"):
            policy.update(*given)
    assert policy.get_dict() == before


@pytest.mark.parametrize("name", ["x0", "a", "t", "gamma", "omega", "lifversion"])
def test_lock_in_feedback_refuses_parameters_out_of_range(name):
    with pytest.raises(ValueError, match=f"{name} is nan and must"):
        LiF({}, **{name: math.nan})


def test_a_slate_learns_of_all_positions_or_of_none():
    policy = Slate({}, ["a", "b", "c"])
    with pytest.raises(ValueError, match="finite"):
        policy.update(("a", "b"), [1.0, math.nan])
    with pytest.raises(ValueError, match="1 rewards came for the 2 positions"):
        policy.update(("a", "b"), [1.0])
    assert policy.get_dict() == {}


@pytest.mark.parametrize("outlier", [100.0, -100.0])
def test_a_reward_that_is_no_success_counts_as_one_at_most(outlier):
    """a: one outlier and 50 failures, or successes where it is negative; b: 25 of 50."""
    rest = 0.0 if outlier > 0 else 1.0
    expected = BernoulliThompson(
        {"a": {"p": (1 + 0) / 51 if rest == 0 else 50 / 51, "n": 51}, "b": {"p": 0.5, "n": 50}}, "ab"
    )
    p = expected.probabilities()["a"]
    for kind, options in (
        (BernoulliThompson, {}),
        (DiscountedThompson, {"gamma": 1.0}),
        (SlidingWindowThompson, {}),
    ):
        policy = kind({}, ["a", "b"], **options)
        for step in range(51):
            policy.update("a", outlier if step == 0 else rest)
            if step < 50:
                policy.update("b", step % 2)
        assert policy.probabilities()["a"] == pytest.approx(p, abs=1e-9)
    proportion = Proportion({})
    for step in range(51):
        proportion.update(outlier if step == 0 else rest)
    arms = BBThompsonList({"a": proportion.get_dict(), "b": {"p": 0.5, "n": 50}}, ["a", "b"])
    assert arms.propensity("a") == pytest.approx(p, abs=1e-9)


def test_a_window_of_older_versions_with_such_rewards_is_read():
    theta = {"t": 2, "arms": {"a": {"t": [1, 2], "r": [100.0, 0.0]}}}
    assert SlidingWindowThompson(theta, ["a"])._recent() == [(2.0, 1.0)]
    assert SlidingWindowUCB(theta, ["a"])._recent() == [(2.0, 100.0)]


def test_what_will_not_fit_into_theta_is_refused_at_construction():
    with pytest.raises(ValueError, match="window is 200000 and must be a whole number between 1 and 90,000"):
        SlidingWindowThompson({}, ["a", "b"], window=200_000)
    with pytest.raises(ValueError, match=f"most {MOST_VALUES:,} can be stored"):
        SlidingWindowThompson({}, range(2000), window=90_000)
    with pytest.raises(ValueError, match="can be stored"):
        BootstrappedThompson({}, range(1000))


def test_replicates_that_will_not_fit_are_refused_at_the_first_call():
    d = 15
    fresh = {"b": [0.0] * d, "A": np.eye(d).tolist(), "n": 0}
    with pytest.raises(ValueError, match="m is 1000: so many replicates"):
        BTS({}, LM, m=1000, default_params=fresh)
    np.random.seed(62)
    with pytest.raises(ValueError, match="m is 1000: so many replicates"):
        BTS({}, LM, m=1000).update(1.0, [1.0] * d)
