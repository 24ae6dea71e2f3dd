"""Policies that draw a score for each arm from its posterior and take the highest: Thompson sampling."""

from abc import abstractmethod
from typing import Any

from policies.policy import Policy
from policies.quadrature import Scores


class PosteriorPolicy(Policy):
    """A policy whose arms have independent random scores.

    The draw and the probabilities come from the same :class:`policies.quadrature.Scores`, so they follow one law.
    """

    @abstractmethod
    def _scores(self, context: Any) -> Scores:
        """The distribution of the arms' scores for this context."""

    def _probabilities(self, context: Any) -> list[float]:
        return self._scores(context).best()

    def _draw(self, context: Any) -> int:
        return self._scores(context).draw()
