"""Pulls and rewards by arm of the draws that a simulation has made so far."""

from __future__ import annotations

from app.domain.moments import Moments
from app.domain.outcomes import arm_of, value_of
from app.domain.simulation import ArmTotals
from app.sandbox.protocol import ARM_NAMES_LIMIT, ARMS, Arm, Point
from app.sandbox.worker.to_json import Kept, fresh

OTHER_ARMS = "(other arms)"


class ArmCounts:
    """Counts by arm, in the order in which they come up.

    Names are never cut, so that two arms are never taken for one. Memory is bounded instead: from ``ARMS`` arms on, and
    once their names have ``ARM_NAMES_LIMIT`` characters together, further arms are counted as one.
    """

    def __init__(self) -> None:
        self._arms: dict[str, ArmTotals] = {}
        self._names = len(OTHER_ARMS)  # characters
        self._total = 0.0

    @property
    def arms(self) -> list[Arm]:
        """Return the counts of each arm, in the order in which they were first taken."""
        return [
            Arm(arm.name, arm.pulls, arm.rewards.count, arm.rewards.mean, arm.rewards.m2, arm.binary)
            for arm in self._arms.values()
        ]

    def add(self, action: Kept, reward: Kept) -> None:
        """Count one draw."""
        name = arm_of(action if type(action) is dict else fresh(action))
        arm = self._arms.get(name) or self._new(name)
        arm.pulls += 1
        value = value_of(reward if type(reward) is dict else fresh(reward))
        if value is not None:
            arm.rewards.add(value)
            arm.binary = arm.binary and value in (0.0, 1.0)
            self._total += value

    def _new(self, name: str) -> ArmTotals:
        if len(self._arms) >= ARMS - 1 or self._names + len(name) > ARM_NAMES_LIMIT:
            return self._arms.setdefault(OTHER_ARMS, ArmTotals(OTHER_ARMS, 0, Moments()))
        self._names += len(name)
        self._arms[name] = ArmTotals(name, 0, Moments())
        return self._arms[name]

    def point(self, draws: int) -> Point:
        """Return a point of the series: the state after so many ``draws``."""
        return Point(draws, self._total, [arm.pulls for arm in self._arms.values()])
