"""Pulls and rewards by arm of the draws that a simulation has made so far."""

from __future__ import annotations

from app.domain.outcomes import arm_of, value_of
from app.sandbox.protocol import ARMS, Arm, Point
from app.sandbox.worker.to_json import Kept, fresh

_OTHERS = "(other arms)"


class ArmCounts:
    """Counts by arm in the order in which they come up; from a certain number on, arms are counted together."""

    def __init__(self) -> None:
        # Pulls, rewards, their sum and their squares: changing a list is much cheaper than changing an Arm.
        self._arms: dict[str, list[float]] = {}
        self._total = 0.0

    @property
    def arms(self) -> list[Arm]:
        """Return the counts of each arm, in the order in which they were first taken."""
        return [
            Arm(name, int(pulls), int(rewards), total, squares)
            for name, (pulls, rewards, total, squares) in self._arms.items()
        ]

    def add(self, action: Kept, reward: Kept) -> None:
        """Count one draw."""
        name = arm_of(action if type(action) is dict else fresh(action))
        arm = self._arms.get(name)
        if arm is None:
            name = name if len(self._arms) < ARMS - 1 else _OTHERS
            arm = self._arms.setdefault(name, [0, 0, 0.0, 0.0])
        arm[0] += 1
        value = value_of(reward if type(reward) is dict else fresh(reward))
        if value is not None:
            arm[1] += 1
            arm[2] += value
            arm[3] += value * value
            self._total += value

    def point(self, draws: int) -> Point:
        """Return a point of the series: the state after so many ``draws``."""
        return Point(draws, self._total, [int(arm[0]) for arm in self._arms.values()])
