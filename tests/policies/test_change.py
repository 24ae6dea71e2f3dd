"""A world that changes: the best arm becomes the worst. Some policies follow, the others are shown not to."""

import numpy as np
import pytest

from policies.bts import BootstrappedThompson
from policies.discount import DiscountedThompson, DiscountedUCB
from policies.exp3 import EXP3, EXP3S
from policies.gaussian import GaussianThompson
from policies.greedy import EpsilonFirst, EpsilonGreedy
from policies.thompson import BernoulliThompson
from policies.ucb import KLUCB, UCB1, UCBTuned
from policies.window import SlidingWindowThompson, SlidingWindowUCB

BEFORE, AFTER = 2000, 600


def share_of_the_new_best(kind, bernoulli, play, **options):
    """How often the arm that became the best is played in the last third after the change, over five seeds.

    Before it both arms were played in turn, as in a long trial: whoever remembers that is sure of it.
    """
    shares = []
    for seed in range(5):
        np.random.seed(seed)
        before = bernoulli(0.2, 0.8)
        policy = kind({}, before.arms, **options)
        for step in range(BEFORE):
            arm = before.arms[step % 2]
            policy.update(arm, before.reward(arm, None), propensity=0.5)
        _, regrets, _ = play(kind, bernoulli(0.8, 0.2), AFTER, seed + 100, theta=policy.get_dict(), options=options)
        shares.append(np.mean(regrets[-AFTER // 3 :] == 0.0))
    return float(np.mean(shares))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (DiscountedUCB, {"gamma": 0.98, "alpha": 0.5}),
        (DiscountedThompson, {"gamma": 0.98}),
        (SlidingWindowUCB, {"window": 150, "alpha": 0.5}),
        (SlidingWindowThompson, {"window": 150}),
        (EXP3S, {"gamma": 0.2, "alpha": 0.003}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_policies_that_forget_follow(kind, options, bernoulli, play):
    assert share_of_the_new_best(kind, bernoulli, play, **options) > 0.75


@pytest.mark.parametrize(
    "kind",
    [
        *(EpsilonFirst, EpsilonGreedy, UCB1, UCBTuned, KLUCB, BernoulliThompson),
        *(GaussianThompson, BootstrappedThompson, EXP3),
    ],
)
def test_policies_that_remember_do_not(kind, bernoulli, play):
    assert share_of_the_new_best(kind, bernoulli, play) < 0.5


def test_a_huge_reward_leaves_nothing_behind_once_it_has_left_the_window():
    policy = SlidingWindowThompson({}, ["a", "b"], window=10)
    policy.update("a", 1e12)
    for _ in range(10):
        policy.update("a", 0.1)
    assert policy._recent()[0] == (10.0, pytest.approx(1.0, abs=1e-12))


def test_a_smaller_window_takes_effect_at_once():
    policy = SlidingWindowThompson({}, ["a", "b"], window=10)
    for reward in (1.0, 1.0, 0.0, 0.0):
        policy.update("a", reward)
    assert SlidingWindowThompson(policy.get_dict(), ["a", "b"], window=3)._recent()[0] == (3.0, 1.0)


def test_a_forgotten_arm_is_tried_again():
    ucb, window = DiscountedUCB({}, ["a", "b"], gamma=0.5), SlidingWindowUCB({}, ["a", "b"], window=5)
    for policy in (ucb, window):
        policy.update("b", 0.0)
        for _ in range(40):
            policy.update("a", 1.0)
        assert policy.pull() == ("b", 1.0)
