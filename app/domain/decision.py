"""A decision: which action was given for which context, and what is needed to give it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Decision:
    """One answered getaction. ``id`` is its advice id where the experiment gives advices, and seeds its draw.

    ``seq`` and ``epoch`` say which theta it read; ``status`` is ``logged`` without advices, else ``pending``,
    ``rewarded``, ``defaulted`` or ``timeout_failed``.
    """

    id: str
    exp_id: str
    date: datetime
    context: dict[str, Any]
    action: dict[str, Any]
    propensity: float | None
    revision: int
    seq: int
    epoch: int
    status: str = "logged"
    expires_at: datetime | None = None
    default_reward: dict[str, Any] | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Reward:
    """One accepted setreward; ``seq`` is its place in the experiment's order of commits."""

    id: str
    exp_id: str
    seq: int
    date: datetime
    context: dict[str, Any]
    action: dict[str, Any]
    reward: dict[str, Any]
    revision: int
    advice_id: str | None = None
    request_id: str | None = None
    default: bool = False


@dataclass(frozen=True)
class RewardedDecision:
    """A decision with the reward that came for its advice, or None."""

    decision: Decision
    reward: Reward | None

    @property
    def delay(self) -> float | None:
        """Seconds from the decision to its reward."""
        return None if self.reward is None else (self.reward.date - self.decision.date).total_seconds()
