"""What the ready-made experiments say about themselves is so."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain.experiment import SCRIPTS
from app.services.catalogue import Catalogue, Template
from tests.defaults.world import ABOUT, World, arm_of, value_of
from tests.servers import Researcher

TITLES = {
    0: "AB Test",
    1: "Bootstrapped Thompson Sampling",
    2: "E-First",
    3: "E-Greedy",
    4: "Lock In Feedback",
    5: "Nested Policies",
    6: "Online Marketing Experiment",
    7: "Parallel Evaluation",
    8: "Social Science Experiment",
    9: "Thompson Bayesian Linear Regression",
    10: "Thompson Optimal Sampling",
    11: "Thompson Sampling K-Armed Bernoulli",
    12: "Decaying E-Greedy",
    13: "Softmax",
    14: "UCB1",
    15: "KL-UCB",
    16: "Thompson Gaussian",
    17: "Top-Two Thompson",
    18: "EXP3",
    19: "LinUCB",
    20: "Linear Thompson",
    21: "Logistic Thompson",
    22: "SquareCB",
    23: "Sliding-Window Thompson",
    24: "Top-k Slate",
}
DEFAULTS = Catalogue().all()
DRAWS = 1500
# Keys of experiment.yml in their order; those in brackets where there is a use for them.
KEYS = "id title question summary references [options] arms [by] best_arm expected_reward [until] example"

each_default = pytest.mark.parametrize("default", DEFAULTS, ids=[default.title for default in DEFAULTS])


def test_ids_and_titles_are_pinned(researcher: Researcher) -> None:
    listed = researcher.http.get("/exp/defaults").json()
    assert {id: listed[str(id)] for id in TITLES} == TITLES
    assert len(ABOUT) == len(DEFAULTS) == len(listed)
    assert len({default.question for default in DEFAULTS}) == len(DEFAULTS)


@each_default
def test_each_tells_what_it_is_and_how_its_world_works(default: Template) -> None:
    about = ABOUT[default.id]
    order = [key.strip("[]") for key in KEYS.split()]
    assert list(about) == [key for key in order if key in about]
    assert {key for key in KEYS.split() if not key.startswith("[")} <= about.keys()
    assert re.fullmatch(r"[A-Z].{10,70}\?", default.question)
    assert 100 < len(default.summary) < 500
    assert default.references
    assert all(re.search(r"\(\d{4}\)\. .*\.$|\(\d{4}\)\. .*\d", reference) for reference in default.references)
    assert about["example"].keys() - {"context"} == {"action", "reward"}
    assert about.get("options", {}).keys() in (set(), {"advice_id", "delta_hours", "default_reward"})

    world = World(default)
    assert world.about.get("by") in (None, *world.context())
    for group in about["best_arm"] if "by" in about else [None]:
        best, expected = world.best(group), world.expected(group)
        if not world.arms:
            assert about["arms"]["low"] <= best <= about["arms"]["high"]
        else:
            assert list(expected) == world.arms
            ties = [arm for arm in world.arms if expected[arm] == max(expected.values())]
            assert [best] == ties or str(best).startswith("none (")


@each_default
def test_the_scripts_of_each_are_short_and_without_mistakes(default: Template, researcher: Researcher) -> None:
    answer = researcher.http.post("/exp/check", json={"scripts": default.scripts})
    assert answer.json() == {"errors": []}
    assert all(default.scripts[script].strip() for script in SCRIPTS)
    assert all(len(line) <= 120 for text in default.scripts.values() for line in text.splitlines())
    assert all(len(text.splitlines()) <= 30 for text in default.scripts.values())
    assert "propensity" in default.scripts["get_action"] or "No propensity: " in default.summary


@each_default
def test_the_simulated_world_of_each_keeps_to_the_truth_it_states(default: Template) -> None:
    world = World(default)
    np.random.seed(default.id)
    random.seed(default.id)
    rewards: dict[tuple[Any, Any], list[float]] = {}
    for _ in range(DRAWS):
        context = world.context()
        group = world.group(context)
        arm = random.choice(world.arms) if world.arms else world.best(group)
        name, example = next(iter(default.example["action"].items()))
        action = {name: [arm, arm] if isinstance(example, list) else arm}
        rewards.setdefault((group, arm_of(action)), []).append(value_of(world.reward(context, action)))
    for (group, arm), values in rewards.items():
        expected = world.expected(group)
        truth = expected[arm] if world.arms else expected
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(len(values)), (group, arm)


def test_the_documents_list_them_all() -> None:
    text = (Path(__file__).parents[2] / "docs" / "defaults.rst").read_text()
    rows = re.findall(r"^(\d+) +(\S.*?)  ", text, re.M)
    assert {int(id): title for id, title in rows} == {default.id: default.title for default in DEFAULTS}
