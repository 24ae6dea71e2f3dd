"""Parameters that were accepted once, and led to no distribution, to another meaning or to an obscure error."""

import math

import numpy as np
import pytest

from policies.bts import BootstrappedThompson
from policies.discount import DiscountedThompson, DiscountedUCB
from policies.exp3 import EXP3, EXP3S
from policies.gaussian import GaussianThompson
from policies.greedy import EpsilonFirst, EpsilonGreedy
from policies.linear import LinearThompson
from policies.logistic import LogisticThompson
from policies.slate import Slate
from policies.softmax import Softmax
from policies.squarecb import SquareCB
from policies.thompson import BernoulliThompson
from policies.toptwo import TopTwoGaussian, TopTwoThompson
from policies.ucb import KLUCB, UCB1
from policies.window import SlidingWindowThompson, SlidingWindowUCB


@pytest.mark.parametrize(
    ("kind", "name", "value", "must"),
    [
        (EpsilonGreedy, "epsilon", 10, "lie between 0 and 1"),
        (EpsilonGreedy, "epsilon", -0.2, "lie between 0 and 1"),
        (EpsilonGreedy, "epsilon", math.nan, "lie between 0 and 1"),
        (EpsilonGreedy, "decay", -0.04, "lie between 0 and 1e+100"),
        (EpsilonFirst, "n", -1, "be a whole number between 0 and 1e+15"),
        (EpsilonFirst, "n", 10.5, "be a whole number between 0 and 1e+15"),
        (Softmax, "tau", 0, "lie above 0, up to 1e+100"),
        (Softmax, "tau", -0.1, "lie above 0, up to 1e+100"),
        (UCB1, "alpha", -1, "lie between 0 and 1e+100"),
        (KLUCB, "tolerance", 0, "lie above 0, up to 1"),
        (EXP3, "gamma", 0, "lie above 0, up to 1"),
        (EXP3, "gamma", -0.5, "lie above 0, up to 1"),
        (EXP3, "gamma", 2, "lie above 0, up to 1"),
        (EXP3S, "alpha", 2, "lie between 0 and 1"),
        (SquareCB, "gamma", -10, "lie between 0 and 1e+100"),
        (LogisticThompson, "lam", 0, "lie between 1e-12 and 1e+12"),
        (LinearThompson, "v", -1, "lie between 0 and 1e+100"),
        (BootstrappedThompson, "m", 0, "be a whole number between 1 and 10,000"),
        (BootstrappedThompson, "prior_sd", -1, "lie between 0 and 1e+100"),
        (GaussianThompson, "a0", 0, "lie between 0.001 and 1e+09"),
        (GaussianThompson, "k0", 0, "lie between 1e-09 and 1e+09"),
        (GaussianThompson, "b0", -1, "lie between 1e-30 and 1e+30"),
        (TopTwoGaussian, "beta", -1, "lie between 0 and 1"),
        (TopTwoThompson, "beta", 1.5, "lie between 0 and 1"),
        (DiscountedThompson, "gamma", 2, "lie above 0, up to 1"),
        (DiscountedUCB, "gamma", 1.5, "lie above 0, up to 1"),
        (SlidingWindowThompson, "window", 0, "be a whole number between 1 and 90,000"),
        (SlidingWindowUCB, "window", 200_000, "be a whole number between 1 and 90,000"),
        (Slate, "k", 0, "be a whole number between 1 and 1e+06"),
        (BernoulliThompson, "floor", -0.1, "lie between 0 and 1"),
        (EpsilonGreedy, "epsilon", "0.1", "lie between 0 and 1"),
        (EpsilonGreedy, "epsilon", None, "lie between 0 and 1"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused_by_name_value_and_range(kind, name, value, must):
    with pytest.raises(ValueError) as caught:
        kind({}, ["a", "b"], **{name: value})
    assert str(caught.value) == f"{name} is {value!r} and must {must}"


@pytest.mark.parametrize("prior", [(math.nan, 1), (1, 0.001), (0, 0), (1,), 1, (1, 1, 1), "11"])
def test_a_prior_is_two_numbers_that_doubles_can_hold(prior):
    for kind in (BernoulliThompson, TopTwoThompson, DiscountedThompson, SlidingWindowThompson):
        with pytest.raises(ValueError, match=r"prior.* must .*between 0.05 and 1e\+09"):
            kind({}, ["a", "b"], prior=prior)


def test_parameters_may_be_numpys_numbers():
    policy = EpsilonGreedy({}, ["a", "b"], epsilon=np.float64(0.2), decay=np.int64(1))
    assert type(policy.epsilon) is type(policy.decay) is float
    assert type(EpsilonFirst({}, ["a"], n=np.int32(5)).n) is int
