"""How long an experiment takes with the traffic that there is."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from app.analysis.ab.checks import ParameterError, between, positive, whole
from app.analysis.ab.normal import ceiling


@dataclass(frozen=True)
class Traffic:
    """Persons a day, the share that may enter, what is held out or shared with other experiments, and the split.

    Days = ⌈n/(traffic·share·(1-holdout)/exclusive·smallest share of the split)⌉.

    >>> Traffic(12000, 0.6, (50, 50)).days(146642)
    41
    >>> Traffic(12000, 0.6, (50, 50), holdout=0.1, exclusive=2).days(146642)
    91
    """

    daily: float
    share: float
    split: tuple[float, ...]
    holdout: float = 0.0
    exclusive: int = 1

    def __post_init__(self) -> None:
        positive("expected_daily_traffic", self.daily)
        if not 0.0 < self.share <= 1.0:
            raise ParameterError("audience_share_in_test", "above 0 and at most 1", self.share)
        if len(self.split) < 2:
            raise ParameterError("traffic_split", "2 or more numbers, one for each arm", self.split)
        for part in self.split:
            positive("traffic_split", part)
        if self.holdout != 0.0:
            between("holdout_fraction", self.holdout)
        whole("mutually_exclusive_experiments", self.exclusive, 1)

    @property
    def eligible(self) -> float:
        """Persons a day that may enter some experiment."""
        return self.daily * self.share

    @property
    def allocated(self) -> float:
        """Persons a day that enter this experiment."""
        return self.eligible * (1.0 - self.holdout) / self.exclusive

    @property
    def shares(self) -> tuple[float, ...]:
        """The split, as shares that sum to 1."""
        total = sum(self.split)
        return tuple(part / total for part in self.split)

    def days(self, n: int) -> int:
        """Days until the smallest arm has ``n`` persons."""
        return max(1, ceiling(n / (self.allocated * min(self.shares))))

    def exposures(self, days: int) -> tuple[int, ...]:
        """Persons of each arm after so many days."""
        return tuple(floor(self.allocated * share * days * (1.0 + 1e-12)) for share in self.shares)
