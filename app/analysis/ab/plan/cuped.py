"""What a covariate from before the experiment saves (CUPED)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from app.analysis.ab.checks import between, positive


@dataclass(frozen=True)
class CupedPlan:
    """A metric with standard deviation ``sd``, a covariate with ``covariate_sd``, and their correlation.

    Adjusted standard deviation σ√(1-ρ²), coefficient θ = ρσ/σ_x; ρ² of the variance is saved.
    Source: Deng, Xu, Kohavi, Walker (2013), Improving the Sensitivity of Online Controlled Experiments, WSDM.

    >>> plan = CupedPlan(20.0, 20.0, 0.6)
    >>> plan.adjusted_sd, plan.theta
    (16.0, 0.6)
    """

    sd: float
    covariate_sd: float
    correlation: float

    def __post_init__(self) -> None:
        positive("std_dev", self.sd)
        positive("cuped_pre_experiment_std", self.covariate_sd)
        between("cuped_correlation", self.correlation, -1.0, 1.0)

    @property
    def adjusted_sd(self) -> float:
        """What is left of the standard deviation."""
        return self.sd * sqrt(1.0 - self.correlation**2)

    @property
    def theta(self) -> float:
        """The coefficient of the covariate."""
        return self.correlation * self.sd / self.covariate_sd

    @property
    def variance_reduction_pct(self) -> float:
        """The share of the variance that is saved, in percent."""
        return 100.0 * self.correlation**2
