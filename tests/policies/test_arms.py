"""The name of an arm is the same before and after the action was JSON, whatever the arm is."""

import datetime
import enum
import json

import numpy as np
import pytest

from policies.arms import arm_name
from policies.base import List, Mean
from policies.exp3 import EXP3
from policies.greedy import EpsilonGreedy
from policies.slate import Slate
from policies.thompson import BernoulliThompson, ThompsonVarList
from policies.window import SlidingWindowThompson
from tests.policies.kinds import every_policy

ODD_ARMS = {
    "tuples": [(9, "red"), (9, "blue"), (12, "red"), (12, "blue")],
    "tuples within tuples": [(1, (2, 3)), (1, (2, 4)), (1.0, (None, True)), ()],
    "floats": [0.5, 1.0, 2.0, 1e300],
    "booleans and nothing": [True, False, None, "yes"],
    "numpy's": [np.int64(3), np.float64(2.5), np.str_("x"), np.float32(4)],
    "texts that a store may not like": ["$5 off", "a.b", "nul\0byte", ""],
}


def through_json(arm):
    """What comes back: Python's JSON, with whole floats as a browser writes them."""
    plain = arm.item() if isinstance(arm, np.generic) else arm
    text = json.dumps(plain)
    return json.loads(text), json.loads(text.replace(".0", ""))


@pytest.mark.parametrize("name", ODD_ARMS)
def test_a_name_outlives_json(name):
    for arm in ODD_ARMS[name]:
        assert {arm_name(back) for back in through_json(arm)} == {arm_name(arm)}


@every_policy
@pytest.mark.parametrize("name", ODD_ARMS)
def test_every_policy_learns_of_odd_arms(kind, name, world_of):
    arms, world, theta = ODD_ARMS[name], world_of(kind), {}
    np.random.seed(31)
    for step in range(40):
        policy = kind(theta, arms)
        back = through_json(arms[step % 4])[step % 2]
        policy.update(back, float(step % 4 == 3), world.context(), 0.25)
        theta = json.loads(json.dumps(policy.get_dict(), allow_nan=False))
    assert set(theta) <= {*map(arm_name, arms), "t", "arms", "shared", "log_weights"}
    policy = kind(theta, arms)
    chosen = policy.draw(world.context())
    assert all(item in policy.arms for item in (chosen if kind is Slate else [chosen]))


def test_the_tuple_that_earns_is_found():
    arms, theta = ODD_ARMS["tuples"], {}
    np.random.seed(32)
    for _ in range(100):
        policy = BernoulliThompson(theta, arms)
        arm, propensity = policy.pull()
        action = json.loads(json.dumps({"arm": arm, "propensity": propensity}))
        policy.update(action["arm"], float(action["arm"] == [12, "blue"]))
        theta = json.loads(json.dumps(policy.get_dict()))
    assert BernoulliThompson(theta, arms).probabilities()[12, "blue"] > 0.9


def test_members_of_enumerations_are_their_values():
    class Colour(enum.StrEnum):
        RED = "red"

    class Size(enum.IntEnum):
        SMALL = 1

    class Shape(str, enum.Enum):  # noqa: UP042 (older scripts have it so, and it is another type)
        ROUND = "round"

    assert [arm_name(arm) for arm in (Colour.RED, Size.SMALL, Shape.ROUND)] == ["red", "1", "round"]


@pytest.mark.parametrize("arms", [[1, 1.0], [1, True], [1, "1"], [None, "None"], [(1, "a"), [1.0, "a"]], ["x", "x"]])
def test_arms_that_json_or_python_cannot_tell_apart_are_refused(arms):
    with pytest.raises(ValueError, match="not distinct"):
        EpsilonGreedy({}, arms)
    if not any(isinstance(arm, list) for arm in arms):
        with pytest.raises(ValueError, match="not distinct"):
            List({}, Mean, arms)


@pytest.mark.parametrize(
    "arm", [{"price": 1}, float("nan"), float("inf"), b"x", datetime.date(2024, 1, 1), {1}, (1, {})]
)
def test_an_arm_that_json_does_not_hold_is_refused(arm):
    with pytest.raises(ValueError, match="an arm must be"):
        EpsilonGreedy({}, ["a", arm])
    with pytest.raises(ValueError, match="an arm must be"):
        EpsilonGreedy({}, ["a"]).update(arm, 1.0)


def test_theta_of_older_versions_is_found():
    """It has a whole float under its own text, and a tuple under that of the list which came back."""
    assert EpsilonGreedy({"1.0": {"n": 9, "m": 0.9}, "2": {"n": 9, "m": 0.1}}, [1.0, 2.0])._means()[0] == [9, 9]
    assert EpsilonGreedy({"[12, 'blue']": {"n": 9, "m": 0.9}}, [(12, "blue")])._means()[0] == [9]
    assert EXP3({"log_weights": {"1.0": 2.0}}, [1.0]).get_dict() == {"log_weights": {"1": 2.0}}
    window = SlidingWindowThompson({"t": 1, "arms": {"1.0": {"t": [1], "r": [1.0]}}}, [1.0, 2.0])
    assert window._recent() == [(1.0, 1.0), (0.0, 0.0)]
    assert List({"1.0": {"n": 2, "m": 3.0}}, Mean, [1.0]).get_dict() == {"1": {"n": 2, "m": 3.0}}


def test_groups_are_found_by_the_same_names():
    groups = ThompsonVarList({"1.0": {"n": 5, "x_bar": 0.0, "s": 1.0, "v": 0.25}}, [1.0, 2.0])
    assert groups.propensity(2.0) == 1.0


def test_a_slate_takes_an_item_that_is_a_tuple():
    policy = Slate({}, [("shoe", 1), ("shoe", 2)], k=1)
    policy.update(["shoe", 2], 1.0)
    policy.update([["shoe", 1]], [0.0])
    assert policy.get_dict() == {"['shoe', 2]": {"n": 1, "m": 1.0}, "['shoe', 1]": {"n": 1, "m": 0.0}}
