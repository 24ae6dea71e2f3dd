"""Fixtures: ``world_of(policy_class)`` gives the problem a policy is meant for; ``play`` lets one live in a world.

A world knows its arms, draws contexts and rewards from the global generator, and tells the expected reward of an
action, so that regret is measured without the noise of the rewards.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from policies.linucb import HybridLinUCB
from policies.policy import Policy
from policies.slate import Slate


@dataclass
class World:
    """Arms with Bernoulli rewards, ``rates(context)`` in the order of the arms."""

    arms: list[str]
    rates: Callable[[Any], np.ndarray]
    context: Callable[[], Any] = lambda: None
    options: dict[str, Any] = field(default_factory=dict)

    def reward(self, arm: Any, context: Any) -> Any:
        return float(np.random.random() < self.rates(context)[self.arms.index(arm)])

    def regret(self, arm: Any, context: Any) -> float:
        rates = self.rates(context)
        return float(rates.max() - rates[self.arms.index(arm)])

    def uniform(self, context: Any) -> float:
        rates = self.rates(context)
        return float(rates.max() - rates.mean())


class Offers(World):
    """Two positions; each item is clicked or not."""

    def reward(self, arm: Any, context: Any) -> Any:
        return [super(Offers, self).reward(item, context) for item in arm]

    def regret(self, arm: Any, context: Any) -> float:
        rates = self.rates(context)
        return float(np.sort(rates)[-2:].sum() - sum(rates[self.arms.index(item)] for item in arm))

    def uniform(self, context: Any) -> float:
        rates = self.rates(context)
        return float(np.sort(rates)[-2:].sum() - 2 * rates.mean())


def _world_of(kind: type[Policy]) -> World:
    if issubclass(kind, Slate):
        return Offers(["a", "b", "c", "d"], lambda context: np.array([0.1, 0.2, 0.7, 0.8]))
    if kind.contextual:
        options = {"arm_features": {"left": [1, 0], "right": [0, 1]}} if kind is HybridLinUCB else {}
        return World(
            ["left", "right"],
            lambda context: 0.5 + 0.4 * context[1] * np.array([-1.0, 1.0]),
            lambda: [1.0, float(np.random.choice([-1.0, -0.5, 0.5, 1.0]))],
            options,
        )
    return World(["a", "b", "c"], lambda context: np.array([0.2, 0.5, 0.8]))


def _play(kind: type[Policy], world: World, n: int, seed: int, theta: Any = None, options: Any = None) -> Any:
    """n rewards; ``(policy, regrets, uniform's expected regrets)``, each regret per step."""
    np.random.seed(seed)
    policy = kind(theta, world.arms, **{**world.options, **(options or {})})
    regrets, uniform = np.empty(n), np.empty(n)
    for step in range(n):
        context = world.context()
        arm = policy.draw(context)
        policy.update(arm, world.reward(arm, context), context)
        regrets[step], uniform[step] = world.regret(arm, context), world.uniform(context)
    return policy, regrets, uniform


@pytest.fixture
def world_of() -> Callable[[type[Policy]], World]:
    return _world_of


@pytest.fixture
def bernoulli() -> Callable[..., World]:
    """``bernoulli(.2, .8)``: a world with these rates."""
    return lambda *rates: World([f"arm{i}" for i in range(len(rates))], lambda context: np.array(rates))


@pytest.fixture
def play() -> Callable[..., Any]:
    return _play
