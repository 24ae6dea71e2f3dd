"""What an experiment's inference rests on: frozen with the first exposure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from app.analysis.ab.checks import one_of
from app.analysis.ab.plan.calculation import planned_sample_size
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.sequential.boundaries import SequentialBoundary

POLICIES = ("practical_v2", "practical_v1")


@dataclass(frozen=True)
class LiveDesign:
    """The plan, which direction of the metric is good, and which policy decides.

    >>> request = PlanRequest(metric_type="binary", baseline_value=0.1, mde_pct=10, expected_daily_traffic=1000,
    ...     audience_share_in_test=1.0, traffic_split=(50, 50), variants_count=2)
    >>> design = LiveDesign(request)
    >>> design.planned_n, round(design.minimum_worthwhile_effect, 12)
    (14751, 0.01)
    """

    request: PlanRequest
    direction: str = "increase"
    policy: str = "practical_v2"

    def __post_init__(self) -> None:
        one_of("direction", self.direction, ("increase", "decrease"))
        one_of("decision_policy", self.policy, POLICIES)

    @property
    def alpha(self) -> float:
        """The level of each comparison with control."""
        return self.request.alpha_each

    @property
    def minimum_worthwhile_effect(self) -> float:
        """The absolute effect that was planned for: baseline·mde."""
        return self.request.delta

    @property
    def mixture_variance(self) -> float:
        """τ² of the always-valid test: the square of the planned effect."""
        return self.request.delta**2

    @cached_property
    def planned_n(self) -> int:
        """Persons per arm of the whole design, clusters and looks included."""
        return planned_sample_size(self.request)

    @property
    def boundary(self) -> SequentialBoundary:
        """The looks."""
        return self.request.boundary
