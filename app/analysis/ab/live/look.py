"""A look as it was taken: its boundary and which treatments crossed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign
from typing import ClassVar

from app.analysis.ab.answer import Rounded4, Rounded6
from app.analysis.ab.live.design import LiveDesign
from app.analysis.ab.sequential.looks import due_look, next_boundary


@dataclass(frozen=True)
class TakenLook:
    """Look number ``look`` at an information fraction; ``zs`` has the z of each treatment against control."""

    look: int
    information_fraction: Rounded4
    boundary_z: Rounded6
    zs: tuple[Rounded6, ...]

    also: ClassVar[tuple[str, ...]] = ("z", "crossed")

    @property
    def z(self) -> Rounded6:
        """The z that is furthest from 0."""
        return max(self.zs, key=abs)

    @property
    def crossed(self) -> bool:
        """Whether some treatment crossed."""
        return abs(self.z) >= self.boundary_z

    def crossing(self, treatment: int) -> int:
        """1 if a treatment (counted from 1) crossed upwards, -1 if downwards, 0 if it didn't."""
        z = self.zs[treatment - 1]
        return int(copysign(1, z)) if abs(z) >= self.boundary_z else 0


def take_look(design: LiveDesign, taken: Sequence[TakenLook], fraction: float, zs: Sequence[float]) -> TakenLook | None:
    """The look that is due at an information fraction, None if none is; ``taken`` are the earlier ones, in order.

    Its boundary spends the plan's share at the fractions that came. Looks that were jumped over add theirs.

    >>> from app.analysis.ab.plan.request import PlanRequest
    >>> design = LiveDesign(PlanRequest(metric_type="binary", baseline_value=0.1, mde_pct=10, variants_count=2,
    ...     expected_daily_traffic=1000, audience_share_in_test=1.0, traffic_split=(50, 50), n_looks=5))
    >>> look = take_look(design, [], 0.21, [4.6])
    >>> look.look, round(look.boundary_z, 6), look.crossing(1)
    (1, 4.561742, 1)
    """
    number = due_look(fraction, design.request.n_looks, taken[-1].look if taken else 0)
    if number is None or (taken and fraction <= taken[-1].information_fraction):
        return None
    # The last look may come late. Cut off at 1, its z would be less correlated with earlier ones than assumed.
    fractions = [*(look.information_fraction for look in taken), fraction]
    numbers = [*(look.look for look in taken), number]
    boundary = next_boundary(design.boundary, fractions, numbers, [look.boundary_z for look in taken])
    return TakenLook(number, min(fraction, 1.0), boundary, tuple(zs))
