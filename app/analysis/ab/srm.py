"""Sample ratio mismatch: whether the arms have as many persons as the split says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import ClassVar

import numpy as np
from scipy.special import chdtrc, gammaln, xlogy

from app.analysis.ab.answer import PValue, Rounded1, Rounded4
from app.analysis.ab.checks import ParameterError, as_many, positive, whole
from app.analysis.ab.compare.words import p_text
from app.analysis.ab.statistic import Floats

LEVEL = 0.001
CONCENTRATION = 1000.0  # Dirichlet prior: as sure of the split as after so many persons


@dataclass(frozen=True)
class SrmResult:
    """``is_srm`` by the chi-square p at one time; ``always_valid_p_value`` may be watched."""

    chi_square: Rounded4
    p_value: PValue
    is_srm: bool
    observed_counts: tuple[int, ...]
    expected_counts: tuple[Rounded1, ...]
    always_valid_p_value: PValue

    also: ClassVar[tuple[str, ...]] = ("verdict", "verdict_code")

    @property
    def verdict_code(self) -> str:
        """``srm_detected`` or ``ok``."""
        return "srm_detected" if self.is_srm else "ok"

    @property
    def verdict(self) -> str:
        """The verdict in a sentence."""
        if self.is_srm:
            return f"The split isn't as planned ({p_text(self.p_value)}): find the cause before reading any result."
        return f"The counts agree with the planned split ({p_text(self.p_value)})."


@dataclass(frozen=True)
class SrmTest:
    """χ² = Σ(O-E)²/E with k-1 degrees of freedom; a mismatch if p < 0.001. Fractions near 1 in sum are normalised.

    >>> found = SrmTest((5000, 5300), (0.5, 0.5)).result()
    >>> round(found.chi_square, 9), round(found.p_value, 11), found.is_srm
    (8.737864078, 0.00311669384, False)
    """

    observed: Sequence[int]
    fractions: Sequence[float]

    def __post_init__(self) -> None:
        for count in self.observed:
            whole("observed_counts", count, 0)
        if len(self.observed) < 2 or not sum(self.observed):
            raise ParameterError("observed_counts", "2 or more counts, not all 0", list(self.observed))
        as_many("expected_fractions", self.fractions, len(self.observed), "count")
        for fraction in self.fractions:
            positive("expected_fractions", fraction)
        if abs(sum(self.fractions) - 1.0) > 0.01 + 1e-12:
            raise ParameterError("expected_fractions", "numbers with the sum 1, give or take .01", sum(self.fractions))

    @property
    def shares(self) -> Floats:
        """The fractions, made to sum to 1."""
        fractions = np.asarray(self.fractions, dtype=np.float64)
        return np.asarray(fractions / fractions.sum())

    @property
    def log_bayes_factor(self) -> float:
        """The logarithm of the evidence against the split."""
        return log_bayes_factor(self.observed, self.shares)

    def result(self) -> SrmResult:
        """The test."""
        observed = np.asarray(self.observed, dtype=np.float64)
        expected = observed.sum() * self.shares
        statistic = float(((observed - expected) ** 2 / expected).sum())
        p = float(chdtrc(len(observed) - 1, statistic))
        return SrmResult(
            chi_square=statistic,
            p_value=p,
            is_srm=p < LEVEL,
            observed_counts=tuple(self.observed),
            expected_counts=tuple(expected.tolist()),
            always_valid_p_value=exp(min(0.0, -self.log_bayes_factor)),
        )


def log_bayes_factor(observed: Sequence[int], shares: Floats) -> float:
    """ln of Γ(a)/Γ(a+n)·ΠΓ(aᵢ+xᵢ)/Γ(aᵢ)/Πwᵢ^xᵢ with aᵢ = 1000wᵢ. Its inverse is an always-valid p.

    Source: Lindon, Malek (2022), Anytime-valid inference for multinomial count data, NeurIPS.

    >>> round(log_bayes_factor([5000, 5200], np.array([0.5, 0.5])), 10)
    0.5777841079
    """
    x, a = np.asarray(observed, dtype=np.float64), CONCENTRATION * shares
    prior = float(gammaln(CONCENTRATION) - gammaln(CONCENTRATION + x.sum()))
    return prior + float((gammaln(a + x) - gammaln(a) - xlogy(x, shares)).sum())
