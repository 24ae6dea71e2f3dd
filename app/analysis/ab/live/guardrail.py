"""Whether a treatment harms a metric that mustn't get worse: a test of non-inferiority."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from app.analysis.ab.answer import PValue, Rounded6, Rounded8
from app.analysis.ab.checks import between, finite, not_negative, one_of, positive
from app.analysis.ab.normal import cdf, upper

DIRECTIONS = ("increase_is_bad", "decrease_is_bad")


@dataclass(frozen=True)
class GuardrailResult:
    """Harm is the effect in the bad direction; its bounds are one-sided, at level α each."""

    status: str
    effect: Rounded6
    harm: Rounded6
    harm_lower_bound: Rounded6
    harm_upper_bound: Rounded6
    non_inferior: bool
    margin: Rounded8
    p_value: PValue
    is_breached: bool


@dataclass(frozen=True)
class GuardrailTest:
    """``breached`` if harm - z_{1-α}SE > margin, else ``warning`` if harm > margin, else ``ok``.

    ``non_inferior`` if harm + z_{1-α}SE < margin. p is that of a harm above the margin. The level isn't divided among
    arms and metrics: that would hide harm.
    Source: Piaggio et al. (2012), Reporting of noninferiority and equivalence randomized trials, JAMA 308:2594.

    >>> found = GuardrailTest(0.004, 4.7408e-06, margin=0.002).result()
    >>> found.status, round(found.p_value, 10)
    ('warning', 0.1791647354)
    """

    difference: float
    variance: float
    margin: float = 0.0
    direction: str = "increase_is_bad"
    alpha: float = 0.05

    def __post_init__(self) -> None:
        finite("difference", self.difference)
        positive("variance", self.variance)
        not_negative("margin", self.margin)
        one_of("direction", self.direction, DIRECTIONS)
        between("alpha", self.alpha)

    def result(self) -> GuardrailResult:
        """The test."""
        harm = self.difference if self.direction == "increase_is_bad" else -self.difference
        error = sqrt(self.variance)
        reach = upper(self.alpha) * error
        breached = harm - reach > self.margin
        return GuardrailResult(
            status="breached" if breached else "warning" if harm > self.margin else "ok",
            effect=self.difference,
            harm=harm,
            harm_lower_bound=harm - reach,
            harm_upper_bound=harm + reach,
            non_inferior=harm + reach < self.margin,
            margin=self.margin,
            p_value=cdf((self.margin - harm) / error),
            is_breached=breached,
        )
