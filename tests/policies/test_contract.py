"""What every policy promises. Policies are found by introspection: a new one is tested because it exists."""

import inspect
import json
import math
import random

import numpy as np
import pytest

import policies
from policies.bts import BootstrappedThompson
from policies.discount import DiscountedThompson, DiscountedUCB
from policies.exp3 import EXP3, EXP3S
from policies.slate import Slate
from tests.policies.kinds import KINDS, assert_probabilities, chi_square, every_policy

# The same rewards in turn leave these with different arms: what came first is more forgotten, or resampled apart.
UNEVEN = (DiscountedThompson, DiscountedUCB, EXP3S, BootstrappedThompson)
REWARDS = {
    "all failures": lambda: 0.0,
    "all successes": lambda: 1.0,
    "huge": lambda: 1e12,
    "tiny": lambda: 1e-12,
    "negative": lambda: -1e12 * np.random.random(),
    "wild": lambda: 10.0 ** np.random.randint(-12, 13) * np.random.choice([-1, 1]),
}


def test_every_policy_of_the_table_is_found():
    names = {kind.__name__ for kind in KINDS}
    assert names >= {
        *("EpsilonFirst", "EpsilonGreedy", "Softmax", "UCB1", "UCBTuned", "KLUCB", "BernoulliThompson"),
        *("GaussianThompson", "TopTwoThompson", "TopTwoGaussian", "EXP3", "EXP3S", "LinUCB", "HybridLinUCB"),
        *("LinearThompson", "LogisticThompson", "BootstrappedThompson", "DiscountedUCB", "DiscountedThompson"),
        *("SlidingWindowUCB", "SlidingWindowThompson", "SquareCB", "Slate"),
    }


@every_policy
def test_scripts_have_its_module_by_name(kind):
    assert inspect.getmodule(kind) in policies.SCRIPT_NAMES.values()


@every_policy
def test_its_docstring_teaches(kind):
    for part in ("Parameters\n", "Examples\n", ">>> ", "References\n"):
        assert part in kind.__doc__


@every_policy
def test_arguments_are_stored_under_their_own_names(kind):
    policy = kind({}, ["a", "b"])
    for name, parameter in list(inspect.signature(kind).parameters.items())[2:]:
        default = {} if name == "arm_features" else parameter.default
        assert getattr(policy, name) == default


@every_policy
def test_theta_survives_json(kind, world_of, play):
    world = world_of(kind)
    policy, _, _ = play(kind, world, 80, seed=3)
    theta = json.loads(json.dumps(policy.get_dict(), allow_nan=False))
    again = kind(theta, world.arms, **world.options)
    context = world.context()
    assert again.get_dict() == theta == policy.get_dict()
    assert again.probabilities(context) == policy.probabilities(context)


@every_policy
def test_same_seed_same_pull(kind, world_of, play):
    world = world_of(kind)
    policy, _, _ = play(kind, world, 40, seed=4)
    context = world.context()
    runs = []
    for _ in range(2):
        np.random.seed(5)
        random.seed(5)
        runs.append([(policy.pull(context), policy.draw(context)) for _ in range(20)])
    assert runs[0] == runs[1]


@every_policy
def test_theta_that_was_passed_in_is_left_alone(kind, world_of, play):
    world = world_of(kind)
    theta = play(kind, world, 30, seed=6)[0].get_dict()
    before = json.dumps(theta)
    play(kind, world, 30, seed=7, theta=theta)
    assert json.dumps(theta) == before


@every_policy
@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_pull_and_draw_agree_with_the_probabilities(kind, floor, world_of, play):
    world = world_of(kind)
    theta = play(kind, world, 24, seed=8, options={"floor": 0.5})[0].get_dict()
    policy = kind(theta, world.arms, floor=floor, **world.options)
    context = world.context()
    p = policy.probabilities(context)
    assert_probabilities(p, 0.0 if kind is Slate else floor)
    np.random.seed(9)
    pulls = [policy.pull(context) for _ in range(600)]
    assert all(propensity == pytest.approx(p[arm], abs=1e-12) for arm, propensity in pulls)
    assert chi_square([arm for arm, _ in pulls], p) > 1e-4
    assert chi_square([policy.draw(context) for _ in range(4000)], p) > 1e-4


@every_policy
def test_it_beats_uniform_on_its_own_problem(kind, world_of, play):
    _, regrets, uniform = play(kind, world_of(kind), 800, seed=10)
    assert regrets.sum() < 0.75 * uniform.sum() or kind.__name__.startswith(("Softmax", "EXP3"))
    assert regrets[400:].sum() < 0.93 * uniform[400:].sum()


@every_policy
def test_ten_thousand_updates(kind, world_of, play):
    world = world_of(kind)
    policy = kind({}, world.arms, **world.options)
    np.random.seed(11)
    for step in range(10_000):
        context = world.context()
        policy.update(world.arms[step % len(world.arms)], float(step % 3 == 0), context, 1 / len(world.arms))
    json.dumps(policy.get_dict(), allow_nan=False)
    assert_probabilities(policy.probabilities(context))
    policy.pull(context)


@every_policy
@pytest.mark.parametrize("rewards", REWARDS)
def test_extreme_rewards(kind, rewards, world_of):
    world = world_of(kind)
    policy = kind({}, world.arms, **world.options)
    np.random.seed(12)
    for step in range(300):
        context = world.context()
        policy.update(world.arms[step % len(world.arms)], REWARDS[rewards](), context, 1 / len(world.arms))
    json.dumps(policy.get_dict(), allow_nan=False)
    p = policy.probabilities(context)
    assert_probabilities(p)
    policy.pull(context)
    policy.draw(context)
    if rewards in ("all failures", "all successes") and not kind.contextual and kind not in UNEVEN:
        assert all(share == pytest.approx(1 / len(p), abs=1e-9) for share in p.values())


@every_policy
def test_one_arm(kind, world_of):
    world = world_of(kind)
    policy = kind({}, ["only"])
    for reward in (0.0, 1.0, 0.0):
        context = world.context()
        arm, propensity = policy.pull(context)
        assert (arm, propensity) == (("only",) if kind is Slate else "only", pytest.approx(1.0))
        assert policy.draw(context) == arm
        policy.update("only", reward, context, 1.0)


@every_policy
def test_a_thousand_arms(kind, world_of):
    world = world_of(kind)
    policy = kind({}, range(1000), **({"m": 50} if kind is BootstrappedThompson else {}))
    np.random.seed(13)
    for step in range(30):
        context = world.context()
        policy.update(step, float(step % 2), context, 0.001)
    if kind is not Slate:
        assert_probabilities(policy.probabilities(context))
    policy.pull(context)
    policy.draw(context)


@every_policy
def test_arms_may_come_and_go(kind, world_of, play):
    world = world_of(kind)
    theta = play(kind, world, 60, seed=14)[0].get_dict()
    kept, gone = world.arms[0], world.arms[1]
    policy = kind(theta, [kept, "new"], **world.options)
    context = world.context()
    p = policy.probabilities(context)
    assert_probabilities(p)
    assert math.fsum(share for action, share in p.items() if "new" in action) > 0.0
    assert not any(gone in action for action in p)
    policy.update(gone, 1.0, context, 0.5)  # a late reward of an arm that was removed
    assert_probabilities(policy.probabilities(context))
    assert_probabilities(kind(policy.get_dict(), world.arms, **world.options).probabilities(context))


@every_policy
def test_fresh_arms_share_the_mass(kind, world_of):
    p = kind({}, ["a", "b", "c", "d"]).probabilities(world_of(kind).context())
    tolerance = 0.1 if kind is BootstrappedThompson else 1e-9  # its made-up rewards differ by arm
    assert all(share == pytest.approx(1 / len(p), abs=tolerance) for share in p.values())


@every_policy
def test_arms_with_the_same_history_share_the_mass(kind, world_of):
    world = world_of(kind)
    policy = kind({}, ["a", "b"])
    np.random.seed(15)
    for _ in range(40):
        context, reward = world.context(), float(np.random.random() < 0.4)
        policy.update("a", reward, context, 0.5)
        policy.update("b", reward, context, 0.5)
    p = policy.probabilities(context)
    if kind not in UNEVEN:
        assert all(share == pytest.approx(0.5, abs=1e-9) for share in p.values())


@every_policy
@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_refused(kind, reward, world_of):
    with pytest.raises(ValueError, match="finite number"):
        kind({}, ["a", "b"]).update("a", reward, world_of(kind).context(), 0.5)


def test_a_policy_needs_distinct_arms_and_a_sensible_floor():
    with pytest.raises(ValueError, match="at least one arm"):
        EXP3({}, [])
    with pytest.raises(ValueError, match="not distinct"):
        EXP3({}, [1, "1"])
    with pytest.raises(ValueError, match="floor"):
        EXP3({}, ["a"], floor=1.5)


def test_integer_arms_are_found_again_after_json():
    policy = EXP3({}, [1, 2])
    policy.update(1, 1.0, propensity=0.5)
    again = EXP3(json.loads(json.dumps(policy.get_dict())), [1, 2])
    assert again.probabilities()[1] > 0.5
