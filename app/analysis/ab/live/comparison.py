"""One treatment against control while the experiment runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, sqrt
from sys import float_info

from app.analysis.ab.answer import PValue, Rounded3, Rounded6, Rounded8
from app.analysis.ab.checks import ParameterError
from app.analysis.ab.compare.proportions import ProportionsTest
from app.analysis.ab.compare.ratio import RatioTest
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.live.design import LiveDesign
from app.analysis.ab.live.posterior import Posterior, beta_posterior, normal_posterior
from app.analysis.ab.normal import upper
from app.analysis.ab.sequential.mixture import MixtureTest
from app.analysis.ab.statistic import Proportion, RatioMean, SampleMean

Arm = Proportion | SampleMean | RatioMean


@dataclass(frozen=True)
class AlwaysValidResult:
    """The mSPRT of this moment, which may be watched; ``not_evaluable`` without variance."""

    status: str
    always_valid_p_value: PValue | None
    confidence_level: Rounded6
    ci_sequence_lower: Rounded6 | None
    ci_sequence_upper: Rounded6 | None
    is_significant: bool
    mixture_variance: Rounded8


@dataclass(frozen=True)
class LiveComparison:
    """``insufficient_data`` with fewer than 2 persons in an arm or without variance: the rest is None then.

    Everything is in the metric's unit, proportions for a binary one; :meth:`ComparisonResult.reported` has points.
    """

    status: str
    analysis: ComparisonResult | None = None
    probability_treatment_beats_control: Rounded3 | None = None
    expected_loss_treatment: Rounded6 | None = None
    expected_loss_control: Rounded6 | None = None
    always_valid: AlwaysValidResult | None = None

    @property
    def z(self) -> float:
        """What looks compare with the boundary: the z of a z test, else that of the p, with the effect's sign.

        A p that is too small for a double counts as the smallest one, so that z stays finite.
        """
        if self.analysis is None:
            return 0.0
        if self.analysis.metric_type in ("binary", "ratio"):
            return self.analysis.test_statistic
        return copysign(upper(0.5 * max(self.analysis.p_value, float_info.min)), self.analysis.observed_effect)


def compare_live(design: LiveDesign, control: Arm | None, treatment: Arm | None) -> LiveComparison:
    """Test, posterior and always-valid p of one treatment; None stands for an arm without persons.

    A count metric is given as :class:`SampleMean` of events per exposure of each person: events of one person aren't
    independent, so that Poisson's law isn't assumed.

    >>> from app.analysis.ab.plan.request import PlanRequest
    >>> design = LiveDesign(PlanRequest(metric_type="binary", baseline_value=0.1, mde_pct=10, variants_count=2,
    ...     expected_daily_traffic=1000, audience_share_in_test=1.0, traffic_split=(50, 50)))
    >>> found = compare_live(design, Proportion(200, 2000), Proportion(260, 2000))
    >>> round(found.analysis.p_value, 11), round(found.always_valid.always_valid_p_value, 10)
    (0.00294209307, 0.1563161185)
    """
    if control is None or treatment is None or min(control.n, treatment.n) < 2:
        return LiveComparison("insufficient_data")
    variance = control.error_variance + treatment.error_variance
    if not variance > 0.0:
        return LiveComparison("insufficient_data")
    analysis, posterior = _analysis(design, control, treatment), _posterior(control, treatment)
    return LiveComparison(
        "ok",
        analysis,
        posterior.probability,
        posterior.loss_treatment,
        posterior.loss_control,
        always_valid(design, treatment.estimate - control.estimate, variance),
    )


def always_valid(design: LiveDesign, difference: float, variance: float) -> AlwaysValidResult:
    """The mixture test of a difference with the design's level and planned effect."""
    if not variance > 0.0:
        return AlwaysValidResult("not_evaluable", None, 1.0 - design.alpha, None, None, False, design.mixture_variance)
    test = MixtureTest(difference, variance, design.mixture_variance, design.alpha)
    interval, p = test.interval, test.p_value
    return AlwaysValidResult(
        "ok", p, interval.level, interval.lower, interval.upper, p < design.alpha, design.mixture_variance
    )


def _analysis(design: LiveDesign, control: Arm, treatment: Arm) -> ComparisonResult:
    match control, treatment:
        case Proportion(), Proportion():
            return ProportionsTest(control, treatment, design.alpha).result()
        case SampleMean(), SampleMean():
            return WelchTest(control, treatment, design.alpha).result()
        case RatioMean(), RatioMean():
            return RatioTest(control, treatment, design.alpha).result()
    raise ParameterError("treatment", f"a {type(control).__name__} like control", type(treatment).__name__)


def _posterior(control: Arm, treatment: Arm) -> Posterior:
    if isinstance(control, Proportion) and isinstance(treatment, Proportion):
        return beta_posterior(control, treatment)
    error = sqrt(control.error_variance + treatment.error_variance)
    return normal_posterior(treatment.estimate - control.estimate, error)
