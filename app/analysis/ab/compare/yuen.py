"""Yuen's t test of trimmed means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.analysis.ab.checks import ParameterError, between
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.compare.welch import t_result
from app.analysis.ab.statistic import Floats, values


@dataclass(frozen=True)
class YuenTest:
    """Welch's test of means without the ``trim`` share of smallest and of largest values; 0 gives Welch's test.

    With h = n-2g values left, the error variance is (n-1)s_w²/(h(h-1)), s_w² the variance of the winsorized sample.
    Source: Yuen (1974), The two-sample trimmed t for unequal population variances, Biometrika 61:165.

    >>> control = (12, 15, 11, 19, 22, 13, 18, 40)
    >>> found = YuenTest(control, (14, 21, 25, 33, 29, 41, 17, 50, 28)).result()
    >>> round(found.test_statistic, 9), round(found.p_value, 10)
    (2.511442856, 0.0337226903)
    """

    control: Sequence[float]
    treatment: Sequence[float]
    alpha: float = 0.05
    trim: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 <= self.trim < 0.5:
            raise ParameterError("trim", "from 0 to below 0.5", self.trim)
        between("alpha", self.alpha)
        object.__setattr__(self, "control", values("control_values", self.control))
        object.__setattr__(self, "treatment", values("treatment_values", self.treatment))
        for name, n in (("control_values", len(self.control)), ("treatment_values", len(self.treatment))):
            if n - 2 * int(self.trim * n) < 2:
                raise ParameterError(name, f"so many that 2 are left when {self.trim:g} is cut off at both ends", n)

    def result(self) -> ComparisonResult:
        """Test, interval and decision, in the unit of the values."""
        (mean1, v1, h1), (mean2, v2, h2) = (self._trimmed(arm) for arm in (self.control, self.treatment))
        variance = v1 + v2
        share = v1 / variance if variance else 0.5
        df = 1.0 / (share**2 / (h1 - 1) + (1.0 - share) ** 2 / (h2 - 1))
        return t_result(
            "trimmed_t", mean2 - mean1, float(np.sqrt(variance)), df, self.alpha, control=mean1, method="yuen"
        )

    def _trimmed(self, arm: Sequence[float]) -> tuple[float, float, int]:
        """Trimmed mean, its error variance, and the values left."""
        ordered: Floats = np.sort(np.asarray(arm, dtype=np.float64))
        n = len(ordered)
        cut = int(self.trim * n)
        left = n - 2 * cut
        kept = ordered[cut : n - cut]
        winsorized = np.clip(ordered, kept[0], kept[-1])
        return float(kept.mean()), float(winsorized.var(ddof=1)) * (n - 1) / (left * (left - 1)), left
