"""What UCB and Thompson sampling do with rewards of which the old ones are forgotten."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from policies.gammas import BetaScores
from policies.policy import Policy
from policies.posterior import PosteriorPolicy
from policies.thompson import beta_posterior, beta_scores, draw_beta
from policies.ties import share_best

FORGOTTEN = 1e-9  # an arm with fewer (decayed) rewards than this counts as untried


class Recent(Policy):
    """A policy that knows a (possibly fractional) number of recent rewards of each arm and their sum."""

    @abstractmethod
    def _recent(self) -> list[tuple[float, float]]:
        """Number and sum of the recent rewards of each arm."""

    def _worth(self, reward: float) -> float:
        """What a reward counts for."""
        return reward

    def _sum(self, rewards: list[float]) -> float:
        return math.fsum(rewards)


class RecentUCB(Recent):
    """UCB1's index on recent rewards."""

    alpha: float

    def _probabilities(self, context: Any) -> list[float]:
        recent = self._recent()
        bonus = 2.0 * math.log(max(math.fsum(n for n, _ in recent), 1.0))
        return share_best(
            [total / n + self.alpha * math.sqrt(bonus / n) if n > FORGOTTEN else math.inf for n, total in recent]
        )


class RecentThompson(Recent, PosteriorPolicy):
    """Bernoulli Thompson sampling on recent rewards."""

    prior: Sequence[float]

    def _posterior(self) -> tuple[list[float], list[float]]:
        return beta_posterior(self._recent(), self.prior)

    def _worth(self, reward: float) -> float:
        return min(1.0, max(0.0, reward))  # a success, a failure or a part of a success

    def _sum(self, rewards: list[float]) -> float:
        if rewards and (max(rewards) > 1.0 or min(rewards) < 0.0):  # older theta has them as they came
            rewards = [self._worth(reward) for reward in rewards]
        return math.fsum(rewards)

    def _scores(self, context: Any) -> BetaScores:
        return beta_scores(*self._posterior())

    def _draw(self, context: Any) -> int:
        return draw_beta(*self._posterior())
