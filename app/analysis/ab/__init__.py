"""The statistics of A/B tests: planning, results, looks, and decisions while an experiment runs.

Statistics of two arms go into a test, a result comes out::

    ProportionsTest(Proportion(200, 2000), Proportion(250, 2000)).result()

Everything is a pure function of numbers. What a statistic isn't defined for raises :class:`ParameterError`, a
ValueError that names the parameter. :func:`to_answer` turns results into JSON values. Formulas and sources are in the
docstrings, and in one table in ``docs/analysis_ab.rst``.
"""

from app.analysis.ab.answer import to_answer
from app.analysis.ab.bandit import BanditSimulation
from app.analysis.ab.checks import ParameterError
from app.analysis.ab.compare.analyse import analyse
from app.analysis.ab.compare.barnard import BarnardTest
from app.analysis.ab.compare.boschloo import BoschlooTest
from app.analysis.ab.compare.counts import CountsTest, garwood, poisson_p
from app.analysis.ab.compare.equivalence import EquivalenceTest, cohen_d
from app.analysis.ab.compare.fisher import FisherTest, odds_ratio
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.newcombe import newcombe
from app.analysis.ab.compare.permutation import PermutationTest, QuantileTest
from app.analysis.ab.compare.power import power_of_p, power_of_t, power_of_z
from app.analysis.ab.compare.proportions import ProportionsTest
from app.analysis.ab.compare.ratio import RatioTest
from app.analysis.ab.compare.resampling import bootstrap_interval, permutation_p
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.compare.wilson import wilson
from app.analysis.ab.compare.yuen import YuenTest
from app.analysis.ab.independence import IndependenceTest
from app.analysis.ab.interval import Interval
from app.analysis.ab.live.comparison import always_valid, compare_live
from app.analysis.ab.live.counts import count_diagnostics, dispersion, per_exposure
from app.analysis.ab.live.cuped import CovariateSums, CupedModel
from app.analysis.ab.live.decision import decide
from app.analysis.ab.live.design import LiveDesign
from app.analysis.ab.live.evidence import ArmEvidence, Evidence
from app.analysis.ab.live.guardrail import GuardrailTest
from app.analysis.ab.live.look import TakenLook, take_look
from app.analysis.ab.live.policy import policy_of
from app.analysis.ab.live.posterior import beta_posterior, normal_posterior
from app.analysis.ab.live.strata import StratifiedTest, Stratum
from app.analysis.ab.live.uplift import simulate_uplift
from app.analysis.ab.multiple import Metric, MultipleTesting
from app.analysis.ab.plan.calculation import calculate, planned_sample_size
from app.analysis.ab.plan.clusters import ClusterDesign
from app.analysis.ab.plan.counts import counts_sample_size, detectable_rate_difference
from app.analysis.ab.plan.cuped import CupedPlan
from app.analysis.ab.plan.equivalence import equivalence_power, equivalence_sample_size
from app.analysis.ab.plan.fisher import fisher_power, fisher_sample_size
from app.analysis.ab.plan.guardrails import Guardrail, plan_guardrail
from app.analysis.ab.plan.mann_whitney import mann_whitney_sample_size
from app.analysis.ab.plan.means import detectable_mean_difference, means_sample_size
from app.analysis.ab.plan.precision import precision_sample_size
from app.analysis.ab.plan.proportions import detectable_proportion_difference, proportions_sample_size
from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.plan.sample_size import bonferroni
from app.analysis.ab.plan.sensitivity import Sensitivity
from app.analysis.ab.plan.traffic import Traffic
from app.analysis.ab.report.description import Description
from app.analysis.ab.report.design_report import design_report
from app.analysis.ab.sequential.boundaries import SequentialBoundary
from app.analysis.ab.sequential.crossing import crossing_probabilities
from app.analysis.ab.sequential.looks import (
    continuous_polling_level,
    due_look,
    information_fraction,
    next_boundary,
    spending_boundaries,
)
from app.analysis.ab.sequential.mixture import MixtureTest
from app.analysis.ab.srm import SrmTest, log_bayes_factor
from app.analysis.ab.statistic import EventCount, Proportion, RatioMean, SampleMean

__all__ = [
    "ArmEvidence",
    "BanditSimulation",
    "BarnardTest",
    "BoschlooTest",
    "ClusterDesign",
    "ComparisonResult",
    "CountsTest",
    "CovariateSums",
    "CupedModel",
    "CupedPlan",
    "Description",
    "EquivalenceTest",
    "EventCount",
    "Evidence",
    "FisherTest",
    "Guardrail",
    "GuardrailTest",
    "IndependenceTest",
    "Interval",
    "LiveDesign",
    "MannWhitneyTest",
    "Metric",
    "MixtureTest",
    "MultipleTesting",
    "ParameterError",
    "PermutationTest",
    "PlanRequest",
    "Proportion",
    "ProportionsTest",
    "QuantileTest",
    "RatioMean",
    "RatioTest",
    "SampleMean",
    "Sensitivity",
    "SequentialBoundary",
    "SrmTest",
    "StratifiedTest",
    "Stratum",
    "TakenLook",
    "Traffic",
    "WelchTest",
    "YuenTest",
    "always_valid",
    "analyse",
    "beta_posterior",
    "bonferroni",
    "bootstrap_interval",
    "calculate",
    "cohen_d",
    "compare_live",
    "continuous_polling_level",
    "count_diagnostics",
    "counts_sample_size",
    "crossing_probabilities",
    "decide",
    "design_report",
    "detectable_mean_difference",
    "detectable_proportion_difference",
    "detectable_rate_difference",
    "dispersion",
    "due_look",
    "equivalence_power",
    "equivalence_sample_size",
    "fisher_power",
    "fisher_sample_size",
    "garwood",
    "information_fraction",
    "log_bayes_factor",
    "mann_whitney_sample_size",
    "means_sample_size",
    "newcombe",
    "next_boundary",
    "normal_posterior",
    "odds_ratio",
    "per_exposure",
    "permutation_p",
    "plan_guardrail",
    "planned_sample_size",
    "poisson_p",
    "policy_of",
    "power_of_p",
    "power_of_t",
    "power_of_z",
    "precision_sample_size",
    "proportions_sample_size",
    "simulate_uplift",
    "spending_boundaries",
    "take_look",
    "to_answer",
    "wilson",
]
