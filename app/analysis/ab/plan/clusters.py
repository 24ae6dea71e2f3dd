"""What it costs to randomise clusters (schools, shops) instead of persons."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.ab.checks import ParameterError, whole, within
from app.analysis.ab.normal import ceiling


@dataclass(frozen=True)
class ClusterDesign:
    """Clusters of ``size`` persons each, whose outcomes have the intraclass correlation ``icc``.

    The design effect 1+(m-1)ICC is how many times as many persons are needed.
    Source: Kish (1965), Survey Sampling, section 5.4.

    >>> design = ClusterDesign(100, 0.02)
    >>> round(design.effect, 4), design.inflate(14751), design.clusters(14751)
    (2.98, 43958, 440)
    """

    size: float
    icc: float

    def __post_init__(self) -> None:
        within("icc", self.icc)
        if not self.size >= 1.0:
            raise ParameterError("avg_cluster_size", "1 or more", self.size)

    @property
    def effect(self) -> float:
        """The design effect."""
        return 1.0 + (self.size - 1.0) * self.icc

    def inflate(self, n: int) -> int:
        """Persons per arm, where ``n`` would do if persons were randomised."""
        return ceiling(whole("n", n, 1) * self.effect)

    def clusters(self, n: int) -> int:
        """Clusters per arm, where ``n`` persons would do if persons were randomised."""
        return ceiling(whole("n", n, 1) * self.effect / self.size)
