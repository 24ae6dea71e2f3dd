"""The simulated world of a ready-made experiment: its ``get_context`` and ``get_reward``, run here, and its truth."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from app.sandbox.worker.script import MODULES
from app.services.catalogue import Template

FOLDER = Path(__file__).parents[2] / "defaults"
ABOUT: dict[int, dict[str, Any]] = {
    about["id"]: about
    for path in sorted(FOLDER.glob("*/experiment.yml"))
    for about in [yaml.safe_load(path.read_text(encoding="utf-8"))]
}


class World:
    """Draws contexts and rewards from the global generators; ``theta`` is what ``self.get_theta()`` answers."""

    def __init__(self, default: Template) -> None:
        self.about = ABOUT[default.id]
        self.theta: dict[str, Any] = {}
        self.asks_for_theta = "get_theta" in default.scripts["get_context"] + default.scripts["get_reward"]
        self._scripts = {
            name: compile(default.scripts[name], f"{default.title}: {name}", "exec")
            for name in ("get_context", "get_reward")
        }

    @property
    def arms(self) -> list[Any]:
        """The arms; none if the action is a number from a range."""
        return self.about["arms"] if isinstance(self.about["arms"], list) else []

    def context(self) -> dict[str, Any]:
        """The next visitor."""
        seen: dict[str, Any] = self._run("get_context", {}, {}).context
        return seen

    def reward(self, context: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
        """What the visitor does."""
        given: dict[str, Any] = self._run("get_reward", context, action).reward
        return given

    def group(self, context: dict[str, Any]) -> Any:
        """The part of the context on which the best arm depends."""
        return context[self.about["by"]] if "by" in self.about else None

    def best(self, group: Any) -> Any:
        """The best arm of a group of visitors."""
        best = self.about["best_arm"]
        return best[group] if "by" in self.about else best

    def expected(self, group: Any) -> Any:
        """The expected reward of each arm in a group of visitors, or that of the best value."""
        expected = self.about["expected_reward"]
        return expected[group] if "by" in self.about else expected

    def _run(self, script: str, context: dict[str, Any], action: dict[str, Any]) -> SimpleNamespace:
        seen = SimpleNamespace(context=context, action=action, reward={}, get_theta=lambda: self.theta)
        exec(self._scripts[script], {"self": seen, **MODULES})
        return seen


def arm_of(action: dict[str, Any]) -> Any:
    """The arm in an action: its first value; a slate's is its first item."""
    arm = next(value for name, value in action.items() if name != "propensity")
    return arm[0] if isinstance(arm, list) else arm


def value_of(reward: dict[str, Any]) -> float:
    """The number in a reward; a slate's is that of its first item."""
    (value,) = reward.values()
    return float(value[0] if isinstance(value, list) else value)
