"""Fisher's exact test of a 2x2 table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, nan

from app.analysis.ab.checks import ParameterError, between
from app.analysis.ab.compare.hypergeometric import ConditionalLaw
from app.analysis.ab.compare.power import power_of_p
from app.analysis.ab.compare.proportions import proportions_result
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.statistic import Proportion

MAX_USERS = 500_000


@dataclass(frozen=True)
class FisherTest:
    """p: the probability, given the margins, of all tables no likelier than the one that came. At most 500,000 users.

    The test statistic and effect size is the odds ratio of treatment over control, with Cornfield's exact interval;
    the difference keeps Newcombe's. Sources: Fisher (1935), The logic of inductive inference, JRSS 98:39;
    Cornfield (1956), 3rd Berkeley Symposium 4:135.

    >>> found = FisherTest(Proportion(3, 10), Proportion(8, 10)).result()
    >>> round(found.p_value, 10), round(found.effect_size, 9), round(found.effect_size_ci_lower, 9)
    (0.0697785187, 9.333333333, 0.882115187)
    """

    control: Proportion
    treatment: Proportion
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_users(self.control, self.treatment, MAX_USERS)
        between("alpha", self.alpha)

    def result(self) -> ComparisonResult:
        """Test, intervals and decision, in proportions."""
        p = ConditionalLaw(self.control, self.treatment).fisher_p()
        return exact_result("fisher_exact", self.control, self.treatment, self.alpha, p)


def check_users(control: Proportion, treatment: Proportion, most: int) -> None:
    """Raise if both arms together have over ``most`` users."""
    if control.n + treatment.n > most:
        raise ParameterError("users", f"at most {most:,} in both arms together", control.n + treatment.n)


def odds_ratio(control: Proportion, treatment: Proportion) -> float:
    """The sample odds ratio of treatment over control: infinite with 0 below, undefined (NaN) for 0/0.

    >>> odds_ratio(Proportion(1, 3), Proportion(2, 3))
    4.0
    """
    above = treatment.successes * (control.n - control.successes)
    below = control.successes * (treatment.n - treatment.successes)
    return above / below if below else (inf if above else nan)


def exact_result(
    metric_type: str, control: Proportion, treatment: Proportion, alpha: float, p: float
) -> ComparisonResult:
    """The result of an exact test with its ``p``: odds ratio beside the difference."""
    ratio, interval = odds_ratio(control, treatment), ConditionalLaw(control, treatment).interval(alpha)
    found = proportions_result(metric_type, control, treatment, alpha, p, ratio, power=power_of_p(p, alpha))
    return replace(
        found,
        effect_size=ratio,
        effect_size_label="odds_ratio",
        effect_size_ci_lower=interval.lower,
        effect_size_ci_upper=interval.upper,
    )
