"""Policies that keep one mean per arm, which is most of the simple ones."""

import math
from typing import Any

from policies.base import Mean
from policies.policy import Policy


class MeanPolicy(Policy):
    """A policy whose theta is a :class:`policies.base.Mean` per arm: ``{arm: {"n": ..., "m": ...}}``."""

    def _learn(self, name: str, reward: float, context: Any, propensity: float | None) -> None:
        mean = Mean(self.theta.get(name))
        mean.update(reward)
        self.theta[name] = mean.get_dict()

    def _means(self) -> tuple[list[int], list[float]]:
        """Count and mean of each arm; the mean of an arm nobody has tried is infinite, so that it is tried."""
        counts, means = [], []
        for name in self.names:
            theta = self.theta.get(name)
            n = int(theta["n"]) if theta else 0
            counts.append(n)
            means.append(float(theta["m"]) if theta and n else math.inf)
        return counts, means


def fill_untried(means: list[float]) -> list[float]:
    """Give arms nobody has tried the highest mean seen: as good as any, until it is known better.

    >>> fill_untried([0.2, math.inf, 0.7])
    [0.2, 0.7, 0.7]
    """
    best = max((mean for mean in means if mean < math.inf), default=0.0)
    return [min(mean, best) for mean in means]
