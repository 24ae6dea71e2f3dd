"""What UCB and Thompson sampling do with rewards of which the old ones are forgotten."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from policies.policy import Policy, share_best
from policies.thompson import best_beta, beta_posterior, draw_beta

FORGOTTEN = 1e-9  # an arm with fewer (decayed) rewards than this counts as untried


class Recent(Policy):
    """A policy that knows a (possibly fractional) number of recent rewards of each arm and their sum."""

    @abstractmethod
    def _recent(self) -> list[tuple[float, float]]:
        """Number and sum of the recent rewards of each arm."""


class RecentUCB(Recent):
    """UCB1's index on recent rewards."""

    alpha: float

    def _probabilities(self, context: Any) -> list[float]:
        recent = self._recent()
        bonus = 2.0 * math.log(max(math.fsum(n for n, _ in recent), 1.0))
        return share_best(
            [total / n + self.alpha * math.sqrt(bonus / n) if n > FORGOTTEN else math.inf for n, total in recent]
        )


class RecentThompson(Recent):
    """Bernoulli Thompson sampling on recent rewards."""

    prior: Sequence[float]

    def _posterior(self) -> tuple[list[float], list[float]]:
        return beta_posterior(self._recent(), self.prior)

    def _probabilities(self, context: Any) -> list[float]:
        return best_beta(*self._posterior())

    def _draw(self, context: Any) -> int:
        return draw_beta(*self._posterior())
