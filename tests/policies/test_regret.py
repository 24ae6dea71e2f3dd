"""Regret over 20 seeds, on problems with a known answer: below uniform's, and of the order that theory says."""

import math

import numpy as np
import pytest
from scipy.special import rel_entr

from policies.bts import BootstrappedThompson
from policies.discount import DiscountedThompson, DiscountedUCB
from policies.exp3 import EXP3, EXP3S
from policies.gaussian import GaussianThompson
from policies.greedy import EpsilonFirst, EpsilonGreedy
from policies.linear import LinearThompson
from policies.linucb import HybridLinUCB, LinUCB
from policies.logistic import LogisticThompson
from policies.slate import Slate
from policies.softmax import Softmax
from policies.squarecb import SquareCB
from policies.thompson import BernoulliThompson
from policies.toptwo import TopTwoGaussian, TopTwoThompson
from policies.ucb import KLUCB, UCB1, UCBTuned
from policies.window import SlidingWindowThompson, SlidingWindowUCB

pytestmark = pytest.mark.slow

SEEDS, N = 20, 2000


def mean_regret(play, kind, world, steps=N, **options):
    """Mean cumulative regret, and uniform's."""
    runs = [play(kind, world, steps, seed, options=options)[1:] for seed in range(SEEDS)]
    return np.mean([run[0].cumsum() for run in runs], axis=0), float(np.mean([run[1].sum() for run in runs]))


@pytest.mark.parametrize(
    ("kind", "options", "factor"),
    [
        (UCB1, {}, 12.0),
        (UCBTuned, {}, 4.0),
        (KLUCB, {}, 2.5),
        (BernoulliThompson, {}, 2.0),
        (GaussianThompson, {"b0": 0.25, "m0": 0.5}, 4.0),
        (BootstrappedThompson, {"prior_mean": 0.5, "prior_sd": 0.5}, 5.0),
        (EpsilonGreedy, {"epsilon": 1.0, "decay": 0.05}, 6.0),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_logarithmic_regret(kind, options, factor, bernoulli, play):
    """Of the order of Lai and Robbins' bound: the sum of gap / kl times ln T; the second half adds little."""
    rates = (0.3, 0.5, 0.7)
    regret, uniform = mean_regret(play, kind, bernoulli(*rates), **options)
    bound = sum((0.7 - r) / (rel_entr(r, 0.7) + rel_entr(1 - r, 0.3)) for r in rates[:2]) * math.log(N)
    assert 0.2 * bound < regret[-1] < factor * bound
    assert regret[-1] < 0.5 * uniform
    assert regret[-1] - regret[N // 2] < 0.4 * regret[-1]


def test_constant_epsilon_costs_epsilon_times_the_mean_gap_for_ever(bernoulli, play):
    regret, uniform = mean_regret(play, EpsilonGreedy, bernoulli(0.2, 0.8), epsilon=0.1)
    assert (regret[-1] - regret[N // 2]) / (N // 2) == pytest.approx(0.1 * 0.3, rel=0.15)
    assert regret[-1] < 0.2 * uniform


def test_epsilon_first_pays_for_its_trial_and_then_nothing(bernoulli, play):
    regret, _ = mean_regret(play, EpsilonFirst, bernoulli(0.2, 0.8), n=200)
    assert regret[-1] == pytest.approx(200 * 0.3, rel=0.1)
    assert regret[-1] == pytest.approx(regret[250])


def test_softmax_costs_what_its_temperature_says(bernoulli, play):
    regret, uniform = mean_regret(play, Softmax, bernoulli(0.2, 0.8), tau=0.2)
    in_the_limit = 0.6 / (1 + math.exp(0.6 / 0.2))
    assert (regret[-1] - regret[N // 2]) / (N // 2) == pytest.approx(in_the_limit, rel=0.2)
    assert regret[-1] < uniform


@pytest.mark.parametrize("kind", [EXP3, EXP3S])
def test_exponential_weights_stay_below_their_bound(kind, bernoulli, play):
    """Corollaries 3.2 and 8.2 of Auer and others, the latter for a single best arm."""
    size = math.log(3) if kind is EXP3 else math.log(3 * N) + math.e
    options = {"gamma": math.sqrt(3 * size / ((math.e - 1) * N))} | ({} if kind is EXP3 else {"alpha": 1 / N})
    regret, uniform = mean_regret(play, kind, bernoulli(0.2, 0.5, 0.8), **options)
    assert regret[-1] < 2 * math.sqrt(math.e - 1) * math.sqrt(N * 3 * size)
    assert regret[-1] < 0.6 * uniform


@pytest.mark.parametrize("kind", [TopTwoThompson, TopTwoGaussian])
def test_top_two_plays_a_rival_half_of_the_time(kind, bernoulli, play):
    """And so knows the closest rival much better than Thompson sampling does."""
    world = bernoulli(0.3, 0.5, 0.7)
    regret, uniform = mean_regret(play, kind, world, 600)
    assert 0.3 * uniform < regret[-1] < 0.9 * uniform
    rivals = [play(each, world, 600, 1)[0].get_dict()["arm1"]["n"] for each in (kind, BernoulliThompson)]
    assert rivals[0] > 2 * rivals[1]


@pytest.mark.parametrize("kind", [DiscountedUCB, DiscountedThompson, SlidingWindowUCB, SlidingWindowThompson])
def test_policies_that_forget_pay_for_it_where_nothing_changes(kind, bernoulli, play):
    options = {"gamma": 0.995} if "Discounted" in kind.__name__ else {"window": 400}
    regret, uniform = mean_regret(play, kind, bernoulli(0.2, 0.8), **options)
    stationary, _ = mean_regret(play, BernoulliThompson, bernoulli(0.2, 0.8))
    assert stationary[-1] < regret[-1] < 0.35 * uniform


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (LinUCB, {"alpha": 0.5}),
        (HybridLinUCB, {"alpha": 0.5}),
        (LinearThompson, {"v": 0.5}),
        (LogisticThompson, {}),
        (SquareCB, {}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_contextual_regret_grows_slower_than_the_square_root(kind, options, world_of, play):
    n = 1000
    regret, uniform = mean_regret(play, kind, world_of(kind), n, **options)
    assert regret[-1] < 1.5 * math.sqrt(2 * 2 * n)
    assert regret[-1] < 0.3 * uniform
    assert regret[-1] < 1.6 * regret[n // 2]


def test_without_the_context_no_arm_is_better(world_of, play):
    """The contextual problem is one: a policy that doesn't see the context does no better than uniform."""
    regret, uniform = mean_regret(play, BernoulliThompson, world_of(LinUCB), 1000)
    assert regret[-1] == pytest.approx(uniform, rel=0.1)


def test_slates_put_the_best_items_first(world_of, play):
    regret, uniform = mean_regret(play, Slate, world_of(Slate), 1000)
    assert regret[-1] < 0.3 * uniform
