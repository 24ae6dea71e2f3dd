"""What a plan is made from."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.ab.checks import ParameterError, as_many, between, one_of, positive, whole
from app.analysis.ab.plan.clusters import ClusterDesign
from app.analysis.ab.plan.cuped import CupedPlan
from app.analysis.ab.plan.sample_size import bonferroni
from app.analysis.ab.plan.traffic import Traffic
from app.analysis.ab.sequential.boundaries import SequentialBoundary

METRIC_TYPES = ("binary", "continuous", "ratio", "count")
TESTS = {
    "binary": ("z_test", "fisher_exact"),
    "continuous": ("z_test", "mann_whitney", "tost"),
    "ratio": ("z_test",),
    "count": ("z_test", "poisson_rate"),
}


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """Metric, effect, levels, traffic and conditions of an experiment to plan; names and units as in the API.

    ``baseline_value`` is a share for a binary metric. ``mde_pct`` is relative. ``desired_precision`` is half a width:
    in percentage points for a binary metric, else in the metric's unit.
    """

    metric_type: str
    baseline_value: float
    mde_pct: float
    expected_daily_traffic: float
    audience_share_in_test: float
    traffic_split: tuple[float, ...]
    variants_count: int
    alpha: float = 0.05
    power: float = 0.8
    std_dev: float | None = None
    exposure_per_user: float | None = None
    cuped_pre_experiment_std: float | None = None
    cuped_correlation: float | None = None
    planned_test: str | None = None
    equivalence_margin_pct: float | None = None
    randomization_unit: str | None = None
    avg_cluster_size: float | None = None
    icc: float | None = None
    actual_counts: tuple[int, ...] | None = None
    seasonality_present: bool | None = None
    active_campaigns_present: bool | None = None
    long_test_possible: bool | None = None
    n_looks: int = 1
    sequential_boundary: str = "obrien_fleming"
    analysis_mode: str = "frequentist"
    desired_precision: float | None = None
    credibility: float = 0.95
    holdout_fraction: float | None = None
    mutually_exclusive_experiments: int | None = None

    def __post_init__(self) -> None:
        one_of("metric_type", self.metric_type, METRIC_TYPES)
        self._check_metric()
        whole("variants_count", self.variants_count, 2, 10)
        as_many("traffic_split", self.traffic_split, self.variants_count, "variant")
        if self.actual_counts is not None:
            as_many("actual_counts", self.actual_counts, self.variants_count, "variant")
        if self.analysis_mode == "bayesian" and self.desired_precision is None:
            raise ParameterError("desired_precision", "given for a Bayesian plan", None)
        one_of("analysis_mode", self.analysis_mode, ("frequentist", "bayesian"))
        between("credibility", self.credibility, 0.5, 1.0)
        _ = self.traffic, self.boundary, self.clusters, self.cuped  # each checks what it is made from

    def _check_metric(self) -> None:
        if self.metric_type == "binary":
            between("baseline_value", self.baseline_value)
        else:
            positive("baseline_value", self.baseline_value)
        positive("mde_pct", self.mde_pct)
        between("power", self.power)
        if self.metric_type in ("continuous", "ratio"):
            if self.std_dev is None:
                raise ParameterError("std_dev", f"given for a {self.metric_type} metric", None)
            positive("std_dev", self.std_dev)
        one_of("planned_test", self.test, TESTS[self.metric_type])
        if self.test == "tost" and self.equivalence_margin_pct is None:
            raise ParameterError("equivalence_margin_pct", "given for a test of equivalence", None)

    @property
    def test(self) -> str:
        """The planned test, the z test unless one is given."""
        return self.planned_test or "z_test"

    @property
    def delta(self) -> float:
        """The absolute effect to detect."""
        return self.baseline_value * self.mde_pct / 100.0

    @property
    def margin(self) -> float | None:
        """The absolute margin of equivalence."""
        if self.equivalence_margin_pct is None:
            return None
        return self.baseline_value * positive("equivalence_margin_pct", self.equivalence_margin_pct) / 100.0

    @property
    def alpha_each(self) -> float:
        """The level of each comparison with control."""
        return bonferroni(self.alpha, self.variants_count)

    @property
    def traffic(self) -> Traffic:
        """The traffic of the experiment."""
        return Traffic(
            self.expected_daily_traffic,
            self.audience_share_in_test,
            tuple(self.traffic_split),
            self.holdout_fraction or 0.0,
            1 if self.mutually_exclusive_experiments is None else self.mutually_exclusive_experiments,
        )

    @property
    def clusters(self) -> ClusterDesign | None:
        """The clusters, if clusters are randomised and both numbers are known."""
        if self.randomization_unit != "cluster" or self.avg_cluster_size is None or self.icc is None:
            return None
        return ClusterDesign(self.avg_cluster_size, self.icc)

    @property
    def boundary(self) -> SequentialBoundary:
        """The looks, at the level of each comparison."""
        return SequentialBoundary(self.n_looks, self.alpha_each, self.sequential_boundary)

    @property
    def cuped(self) -> CupedPlan | None:
        """The covariate, for a z test of a continuous metric with both numbers."""
        if self.metric_type != "continuous" or self.test != "z_test" or self.std_dev is None:
            return None
        if self.cuped_pre_experiment_std is None or self.cuped_correlation is None:
            return None
        return CupedPlan(self.std_dev, self.cuped_pre_experiment_std, self.cuped_correlation)
