"""The name of an arm is the same before its action was JSON and after, and the same that the policies' theta has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import policies.arms
from app.domain.outcomes import arm_name, arm_of
from app.domain.simulation import truth_of
from app.sandbox.worker.to_json import cleaned

ARMS = [
    "A",
    "",
    "$5 off",
    "a.b",
    "x" * 5_000,
    7,
    -1,
    0,
    1.0,
    -0.0,
    0.1,
    1e300,
    2.0**60,
    True,
    False,
    (9, "red"),
    (12, (1.0, None)),
    [9, "red"],
]


@pytest.mark.parametrize("arm", ARMS, ids=repr)
def test_json_does_not_change_the_name_of_an_arm(arm: Any) -> None:
    before = arm_of({"arm": arm, "propensity": 0.5})
    after = arm_of(json.loads(json.dumps({"arm": arm, "propensity": 0.5})))
    in_worker = arm_of(cleaned({"arm": arm, "propensity": 0.5}, "self.action"))
    # A browser writes whole floats without a point.
    shortened = int(arm) if type(arm) is float and arm.is_integer() and abs(arm) < 2**53 else arm
    assert before == after == in_worker == arm_of({"arm": shortened})


@pytest.mark.parametrize("arm", ARMS, ids=repr)
def test_the_name_is_the_one_that_policies_keep_the_arm_by(arm: Any) -> None:
    assert arm_name(arm) == policies.arms.arm_name(arm)


@pytest.mark.parametrize("arm", [np.int64(3), np.float64(2.0), np.float64(0.5), np.str_("x"), np.bool_(True)], ids=repr)
def test_numpys_arms_have_the_names_of_pythons(arm: Any) -> None:
    assert arm_of(cleaned({"arm": arm}, "self.action")) == arm_name(arm.item())


def test_arms_that_differ_have_names_that_differ() -> None:
    different = ["A", "", 7, -1, 0, 0.1, 1.5, 1, True, False, (9, "red"), (9, "blue"), ("9", "red"), [1, [2]]]
    names = [arm_name(arm) for arm in different]
    assert len(set(names)) == len(names)
    assert arm_name("x" * 200 + "a") != arm_name("x" * 200 + "b")


def test_the_truth_names_arms_as_their_actions_do() -> None:
    about = {"arms": [True, 1.5, 2.0, "x"], "expected_reward": {True: 0.1, 1.5: 0.2, 2: 0.3, "x": 0.4}}
    assert truth_of(about) == {arm_of({"arm": arm}): value for arm, value in about["expected_reward"].items()}
