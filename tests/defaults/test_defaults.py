"""Each ready-made experiment, made over HTTP from the catalogue, lives in its own simulated world and learns."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from app.services.catalogue import Catalogue, Template
from tests.defaults.world import World, arm_of
from tests.servers import Experiment, Researcher

DEFAULTS = Catalogue().all()
BLOCK, AT_ONCE, AT_MOST = 100, 25, 10_000
FROZEN = 600
# Those that assign at random, or for precision, whatever the arms earn.
INDIFFERENT = {
    "AB Test": None,
    "Parallel Evaluation": None,
    "Social Science Experiment": "ratings",
    "Thompson Optimal Sampling": None,
}
# How far from the best value the actions of those that look for a number may be in the end.
NEAR = {"Bootstrapped Thompson Sampling": 1.5, "Lock In Feedback": 0.3, "Thompson Bayesian Linear Regression": 1.0}

Visit = tuple[dict[str, Any], dict[str, Any]]  # context and action


def titled(titles: Any) -> pytest.MarkDecorator:
    chosen = [default for default in DEFAULTS if default.title in titles]
    return pytest.mark.parametrize("default", chosen, ids=[default.title for default in chosen])


def made(researcher: Researcher, default: Template) -> Experiment:
    """An experiment like this default, made as a client makes one."""
    body = researcher.http.get(f"/exp/defaults/{default.id}").json()
    np.random.seed(default.id)
    random.seed(default.id)
    return researcher.create(**body)


def live(experiment: Experiment, world: World, visits: int) -> list[Visit]:
    """Let visitors come in groups, decide for each and report what they do."""
    came: list[Visit] = []
    while len(came) < visits:
        if world.asks_for_theta:
            world.theta = experiment.theta()
        contexts = [world.context() for _ in range(AT_ONCE)]
        items = [{"context": context} for context in contexts]
        answers = experiment.post("getaction", "batch", items=items).json()["items"]
        rewards = []
        for context, answer in zip(contexts, answers, strict=True):
            action, reward = answer["action"], world.reward(context, answer["action"])
            about = {"advice_id": answer["advice_id"]} if "advice_id" in answer else {"context": context}
            rewards.append({"action": action, "reward": reward, **about})
            came.append((context, action))
        done = experiment.post("setreward", "batch", items=rewards).json()["items"]
        assert done == [{"status": "success"}] * AT_ONCE
    return came


def leads(world: World, visits: list[Visit]) -> bool:
    """Whether the best arm of each group had clearly more than its share of the latest visits."""
    pulls: dict[Any, Counter[Any]] = defaultdict(Counter)
    for context, action in visits[-2 * BLOCK :]:
        pulls[world.group(context)][arm_of(action)] += 1
    return all(
        str(world.best(group)).startswith("none (")
        or counts[world.best(group)] > (1 / len(world.arms) + 0.15) * counts.total()
        for group, counts in pulls.items()
    )


def near(world: World, visits: list[Visit], tolerance: float) -> bool:
    """Whether the latest actions of each group are near its best value."""
    values: dict[Any, list[float]] = defaultdict(list)
    for context, action in visits[-BLOCK:]:
        values[world.group(context)].append(arm_of(action))
    return all(abs(np.median(found) - world.best(group)) < tolerance for group, found in values.items())


def estimates(theta: dict[str, Any], arms: list[Any]) -> dict[Any, tuple[float, int]]:
    """Estimate and count of each arm in theta, where it keeps such things."""
    found = {}
    for arm in arms:
        for key, value in theta.items():
            if key.rpartition(":")[2] == str(arm) and isinstance(value, dict):
                estimate = [value[name] for name in ("m", "p", "x_bar") if isinstance(value.get(name), int | float)]
                if estimate:
                    found[arm] = (estimate[0], value["n"])
    return found


def check_estimates(world: World, theta: dict[str, Any], arms: list[Any]) -> None:
    """The estimates of these arms are near the truth, if theta has any."""
    truth = world.about["expected_reward"]
    for arm, (estimate, n) in estimates(theta, arms).items():
        noise = 0.5 if max(truth.values()) <= 1 else 3  # as in the worlds of the catalogue
        assert abs(estimate - truth[arm]) < 5 * noise / math.sqrt(n), arm


@titled({default.title for default in DEFAULTS} - INDIFFERENT.keys())
def test_what_each_shows_becomes_the_best(researcher: Researcher, default: Template) -> None:
    experiment, world = made(researcher, default), World(default)
    visits = live(experiment, world, 2 * BLOCK)
    tolerance = NEAR.get(default.title, 0)
    while not (near(world, visits, tolerance) if tolerance else leads(world, visits)):
        assert len(visits) < AT_MOST
        visits += live(experiment, world, BLOCK)
    if world.arms and "by" not in world.about:
        check_estimates(world, experiment.theta(), [world.best(None)])
    assert experiment.stats("errors") == []
    assert experiment.summary()["set_reward_calls"] == len(visits)


@titled(INDIFFERENT)
def test_those_that_only_estimate_estimate_well(researcher: Researcher, default: Template) -> None:
    experiment, world = made(researcher, default), World(default)
    visits = live(experiment, world, 4 * BLOCK)
    theta = experiment.theta(name=INDIFFERENT[default.title] or "_theta")
    check_estimates(world, theta, world.arms)
    pulls = Counter(arm_of(action) for _, action in visits)
    if default.title == "Thompson Optimal Sampling":
        # The variance of a difference is least when the numbers are as the standard deviations: 1 to 3.
        assert 0.65 < pulls["treatment"] / len(visits) < 0.85
    else:
        share = 1 / len(world.arms)
        assert all(abs(pulls[arm] / len(visits) - share) < 5 * math.sqrt(share / len(visits)) for arm in world.arms)
    assert experiment.stats("errors") == []


@titled({default.title for default in DEFAULTS if "No propensity: " not in default.summary})
def test_the_inverse_propensities_of_each_weigh_one_on_average(researcher: Researcher, default: Template) -> None:
    experiment, world = made(researcher, default), World(default)
    live(experiment, world, AT_ONCE)
    # From here on nothing is learnt: in each group an action has one propensity, and its count is binomial.
    contexts = [world.context() for _ in range(FROZEN)]
    items = [{"context": context} for context in contexts]
    answers = experiment.post("getaction", "batch", items=items).json()["items"]
    propensities: dict[Any, dict[str, set[float]]] = defaultdict(lambda: defaultdict(set))
    counts: dict[Any, Counter[str]] = defaultdict(Counter)
    for context, answer in zip(contexts, answers, strict=True):
        p = answer["action"].pop("propensity")
        action = json.dumps(answer["action"], sort_keys=True)
        propensities[world.group(context)][action].add(round(p, 9))
        counts[world.group(context)][action] += 1
    for group, seen in propensities.items():
        n = counts[group].total()
        checked = 0
        for action, (p, *others) in seen.items():
            assert not others, (group, action)
            if n * p >= 25:
                error = math.sqrt((1 / p - 1) / n)
                assert abs(counts[group][action] / (n * p) - 1) <= 5 * error, (group, action)
                checked += 1
        assert checked
        # What was never seen is too unlikely to be missed.
        assert 1 - 25 / n < sum(p for each in seen.values() for p in each) < 1 + 1e-6


def test_the_policies_of_the_nested_experiment_are_compared(researcher: Researcher) -> None:
    (default,) = (default for default in DEFAULTS if default.title == "Nested Policies")
    experiment, world = made(researcher, default), World(default)
    visits = live(experiment, world, 4 * BLOCK)
    shown = Counter(action["policy"] for _, action in visits)
    theta = experiment.theta()
    assert {key: value["n"] for key, value in theta.items()} == {f"policy:{name}": n for name, n in shown.items()}
    for name, n in shown.items():
        assert sum(arm["n"] for arm in experiment.theta(name=name).values()) == n


def test_the_nested_experiment_takes_experiments_of_ones_own(researcher: Researcher) -> None:
    (default,) = (default for default in DEFAULTS if default.title == "Nested Policies")
    inner = [made(researcher, each) for each in DEFAULTS if each.title in ("E-Greedy", "KL-UCB")]
    body = researcher.http.get(f"/exp/defaults/{default.id}").json()
    body["get_action"] = body["get_action"].replace(
        "experiments = []", f"experiments = {[experiment.id for experiment in inner]}"
    )
    outer, world = researcher.create(**body | {"name": "outer"}), World(default)
    visits = live(outer, world, 2 * BLOCK)
    shown = Counter(action["policy"] for _, action in visits)
    assert {key: value["n"] for key, value in outer.theta().items()} == {f"policy:{id}": n for id, n in shown.items()}
    for experiment in inner:
        assert sum(arm["n"] for arm in experiment.theta().values()) == shown[experiment.id] > 0
        assert experiment.summary()["get_action_calls"] == 0


def test_what_the_evaluated_policies_would_earn_is_more_than_chance(researcher: Researcher) -> None:
    (default,) = (default for default in DEFAULTS if default.title == "Parallel Evaluation")
    experiment, world = made(researcher, default), World(default)
    live(experiment, world, 4 * BLOCK)
    earned = {key.removeprefix("policy:"): theta for key, theta in experiment.theta().items()}
    assert earned.keys() == {"greedy", "ucb", "thompson"}
    chance = np.mean(list(world.expected(None).values()))
    for name, mean in earned.items():
        assert mean["n"] == sum(arm["n"] for arm in experiment.theta(name=name).values())
        assert mean["m"] > chance
