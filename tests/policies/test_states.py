"""The contract over generated states: a draw follows the probabilities, or a clear error says why there are none.

Chi-square tests of draws against the probabilities that the policy states. A policy is found to be wrong below a
p-value of 1e-6. With other seeds than these, that would happen to one of the about 170 right answers here in fewer than
two of ten thousand runs.
"""

import copy
import inspect
import json
import math
import random

import numpy as np
import pytest

from app.sandbox.protocol import ITEM_VALUES
from policies.checks import MOST_VALUES
from policies.policy import Policy
from policies.slate import Slate
from policies.toptwo import TopTwo
from tests.policies.kinds import assert_probabilities, chi_square, every_contextual_policy, every_policy

FALSE_ALARM = 1e-6
GROWING = {"n", "s", "A", "b", "P", "sum", "A0", "b0", "B"}  # what grows with the number of rewards


def grown(theta, factor, key=""):
    """The theta after so many times the rewards."""
    if isinstance(theta, dict):
        return {name: grown(part, factor, name if name in GROWING else key) for name, part in theta.items()}
    if isinstance(theta, list):
        return [grown(part, factor, key) for part in theta]
    return type(theta)(theta * factor) if key else theta


def trained(kind, arms, world, rounds, **options):
    policy = kind({}, arms, **{**world.options, **options})
    for step in range(rounds * len(arms)):
        arm = arms[step % len(arms)]
        best = arm == arms[-1]
        policy.update(arm, float(np.random.random() < (0.6 if best else 0.3)), world.context(), 1 / len(arms))
    return policy


def empty(kind, world):
    return kind({}, ["a", "b", "c"])


def one_arm(kind, world):
    return trained(kind, ["only"], world, 3)


def fifty_arms(kind, world):
    return trained(kind, [f"arm {i}" for i in range(8 if kind is Slate else 50)], world, 2)


def equal_arms(kind, world):
    policy = kind({}, ["a", "b", "c"])
    for _ in range(6):
        reward, context = float(np.random.random() < 0.5), world.context()
        for arm in random.sample(policy.arms, 3):
            policy.update(arm, reward, context, 1 / 3)
    return policy


def a_billion_rewards(kind, world):
    theta = trained(kind, world.arms, world, 20).get_dict()
    return kind(json.loads(json.dumps(grown(theta, 5 * 10**7))), world.arms, **world.options)


def arms_added_and_removed(kind, world):
    theta = trained(kind, world.arms, world, 5).get_dict()
    policy = kind(theta, ["new", *world.arms[1:], "newer"], **world.options)
    policy.update(world.arms[0], 1.0, world.context(), 0.5)
    return policy


def alike_but_for_rounding(kind, world):
    policy = kind({}, ["a", "b"])
    context = world.context()
    for a, b in ((1.0, 0.0), (0.0, 0.0), (0.0, 1.0)):
        policy.update("a", a, context, 0.5)
        policy.update("b", b, context, 0.5)
    return policy


STATES = [
    *(empty, one_arm, fifty_arms, equal_arms, a_billion_rewards, arms_added_and_removed, alike_but_for_rounding),
]


def draws_agree(policy, context, n):
    p = policy.probabilities(context)
    assert_probabilities(p)
    assert chi_square([policy.draw(context) for _ in range(n)], p) > FALSE_ALARM
    assert all(p[arm] == pytest.approx(share, abs=1e-12) for arm, share in (policy.pull(context) for _ in range(20)))


def number_of_draws(kind, state, n):
    """A tenth is enough for the common draw from the probabilities, and while each challenger takes milliseconds."""
    common = kind._draw is Policy._draw and kind is not Slate
    sure = issubclass(kind, TopTwo) and state is a_billion_rewards
    return n // 10 if common or sure else n


@every_policy
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_draws_follow_the_probabilities(kind, state, world_of):
    """20,000 draws of a policy that draws in a way of its own, 2,000 of the common draw from the probabilities."""
    np.random.seed(21)
    random.seed(21)
    world = world_of(kind)
    policy = state(kind, world)
    draws_agree(policy, world.context(), number_of_draws(kind, state, 20_000))


@pytest.mark.slow
@every_policy
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_two_hundred_thousand_draws_follow_the_probabilities(kind, state, world_of):
    np.random.seed(22)
    random.seed(22)
    world = world_of(kind)
    draws_agree(state(kind, world), world.context(), number_of_draws(kind, state, 200_000))


def refusal(call, *given):
    """The sentence with which a call is refused; None if it isn't."""
    try:
        call(*given)
    except ValueError as error:
        return str(error)
    return None


def parameters(kind):
    return [name for name in kind.ranges if name != "lifversion"]


def within(range_):
    low = range_.low + 1e-9 if range_.above else range_.low
    return [low, range_.high]


def beyond(range_):
    step = 1.0 if range_.whole else 1e-6 * max(1.0, abs(range_.high))
    values = [math.nextafter(range_.low, -math.inf), range_.high + step, math.nan, math.inf, -math.inf, "many", None]
    return values + ([range_.low] if range_.above else []) + ([1.5] if range_.whole else [])


def value_for(name, number):
    return (number, number) if name == "prior" else number


@every_policy
def test_every_number_that_it_takes_has_a_range(kind):
    names = set(list(inspect.signature(kind).parameters)[2:]) - {"arm_features"}
    assert names == set(kind.ranges)


@every_policy
def test_parameters_at_their_bounds(kind, world_of):
    """The probabilities hold and draws follow them, or a clear error is raised at the first call."""
    world = world_of(kind)
    for name in parameters(kind):
        for number in within(kind.ranges[name]):
            np.random.seed(23)
            options = {name: value_for(name, number)}
            why = refusal(lambda options=options: trained(kind, ["a", "b", "c"], world, 4, **options))
            if why:
                assert "can be stored" in why, (options, why)
                continue
            for policy in (kind({}, ["a", "b", "c"], **options), trained(kind, ["a", "b", "c"], world, 4, **options)):
                draws_agree(policy, world.context(), 400)


@every_policy
def test_parameters_beyond_their_bounds_are_refused_at_construction(kind):
    for name in parameters(kind):
        for number in beyond(kind.ranges[name]):
            with pytest.raises(ValueError, match=name) as caught:
                kind({}, ["a", "b"], **{name: value_for(name, number)})
            assert repr(number) in str(caught.value)
            assert str(kind.ranges[name]) in str(caught.value)


CONTEXTS = {
    "none": (None, 1),
    "empty": ({}, 1),
    "an empty list": ([], 0),
    "a missing value": ([1.0, None], 0),
    "a missing value by name": ({"const": 1, "age": None}, 0),
    "not a number": ([1.0, math.nan], 0),
    "infinite": ({"const": 1, "age": math.inf}, 0),
    "squares overflow": ([1.0, 1e200], 0),
    "huge": ([1.0, 1e90], 1),
    "text": ({"const": 1, "page": "home"}, 0),
    "a missing value of one arm": ({"a": [1, 0.2], "b": [1, 0.1], "c": [1, None]}, 0),
    "features of two arms only": ({"a": [1, 0.2], "b": [1, 0.4]}, 0),
    "no features of the arms": ({"a": [], "b": [], "c": []}, 0),
    "all zero": ([0, 0], 1),
    "all zero for each arm": ({"a": [0, 0], "b": [0, 0], "c": [0, 0]}, 1),
}


@every_contextual_policy
@pytest.mark.parametrize("name", CONTEXTS)
def test_contexts_are_read_or_refused(kind, name):
    context, readable = CONTEXTS[name]
    policy = kind({}, ["a", "c", "b"])
    np.random.seed(24)
    if not readable:
        before = policy.get_dict()
        for call in (policy.probabilities, policy.pull, policy.draw, lambda given: policy.update("c", 1.0, given)):
            with pytest.raises(ValueError, match=r"finite|no features|must be"):
                call(context)
        assert policy.get_dict() == before
        return
    draws_agree(policy, context, 2_000)
    for step in range(9):
        policy.update("abc"[step % 3], float(step % 2), context)
    draws_agree(policy, context, 2_000)


def first_number(theta, set_to):
    """Change the first float; whether there was one."""
    for key in theta if isinstance(theta, dict) else range(len(theta)):
        if isinstance(theta[key], float):
            theta[key] = set_to
            return True
        if isinstance(theta[key], dict | list) and first_number(theta[key], set_to):
            return True
    return False


@every_policy
@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
def test_a_theta_that_is_not_finite_is_told_and_can_be_repaired(kind, spoilt, world_of):
    np.random.seed(25)
    world = world_of(kind)
    theta = copy.deepcopy(trained(kind, world.arms, world, 4).get_dict())
    assert first_number(theta, spoilt)
    policy = kind(theta, world.arms, **world.options)
    assert policy.get_dict() == theta or spoilt != spoilt
    context = world.context()
    for call in (policy.probabilities, policy.pull, policy.draw):
        why = refusal(call, context)
        if why is None:  # it makes no use of this number
            assert_probabilities(policy.probabilities(context))
            assert policy.pull(context)[1] > 0.0
        else:
            assert "theta[" in why
            assert "finite" in why
    for arm in world.arms:
        held = policy.theta
        why = refusal(policy.update, arm, 1.0, context, 0.5)
        assert why is None or ("finite" in why and policy.theta is held)
    whole = {key: part for key, part in theta.items() if not any(c in json.dumps(part) for c in ("NaN", "Infinity"))}
    draws_agree(kind(whole, world.arms, **world.options), context, 400)


@every_policy
def test_a_reward_that_overflows_changes_nothing(kind, world_of):
    world = world_of(kind)
    policy = trained(kind, world.arms, world, 3)
    for reward in (1.7e308, -1.7e308, 1.7e308):
        before = copy.deepcopy(policy.get_dict())
        why = refusal(policy.update, world.arms[0], reward, world.context(), 1e-3)
        assert why is None or ("finite" in why and policy.get_dict() == before)
        json.dumps(policy.get_dict(), allow_nan=False)


def values_in(value):
    """Values, keys and containers, as the store's limit counts them."""
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(values_in, value.values()))
    return 1 + sum(map(values_in, value)) if isinstance(value, list) else 1


@every_policy
def test_theta_never_has_more_values_than_were_reckoned_with(kind, world_of):
    world = world_of(kind)
    for features in [[1.0, 0.5], {"const": 1.0, "age": 0.5}] if kind.contextual else [None]:
        options = {**world.options, **({"window": 7} if "window" in kind.ranges else {})}
        policy = kind({}, world.arms, **options)
        for step in range(40):
            policy.update(world.arms[step % len(world.arms)], float(step % 2), features, 0.5)
        assert values_in(policy.get_dict()) <= policy._values(2) < 2 * values_in(policy.get_dict()) + 10


def test_what_policies_reckon_with_is_what_the_sandbox_takes():
    assert MOST_VALUES < ITEM_VALUES <= 1.1 * MOST_VALUES
