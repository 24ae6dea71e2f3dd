"""The Mann-Whitney test, with the Hodges-Lehmann shift and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, floor, sqrt

import numpy as np

from app.analysis.ab.checks import between
from app.analysis.ab.compare.power import power_of_p
from app.analysis.ab.compare.result import ComparisonResult, relative_pct, verdict_of
from app.analysis.ab.interval import Interval
from app.analysis.ab.normal import two_sided, upper
from app.analysis.ab.statistic import Floats, values

MAX_EXACT = 30  # values in both arms together, for which the exact law is used if there are no ties


@dataclass(frozen=True)
class MannWhitneyTest:
    """U: how many pairs have the treatment's value above the control's, ties as a half; two-sided.

    Exact without ties and up to 30 values, else normal, with ties in the variance and a continuity correction. The
    effect is the median of all differences, its interval D(k) to D(M+1-k) of the M sorted ones. Effect size: the
    rank-biserial correlation 2U/M-1.
    Sources: Lehmann (1975), Nonparametrics, chapter 1; Hollander, Wolfe, Chicken (2013), Nonparametric Statistical
    Methods, 3rd ed., sections 4.1-4.3.

    >>> found = MannWhitneyTest((1.1, 2.4, 3.0, 4.7, 5.2, 8.8), (2.9, 6.1, 7.7, 9.3, 10.2)).result()
    >>> found.test_statistic, round(found.p_value, 10), round(found.observed_effect, 1)
    (24.0, 0.1255411255, 3.4)
    >>> round(found.ci_lower, 1), round(found.ci_upper, 1)
    (-1.8, 7.2)
    """

    control: Sequence[float]
    treatment: Sequence[float]
    alpha: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "control", values("control_values", self.control))
        object.__setattr__(self, "treatment", values("treatment_values", self.treatment))
        between("alpha", self.alpha)

    def result(self) -> ComparisonResult:
        """Test, interval and decision, in the unit of the values."""
        x, y = np.asarray(self.control, dtype=np.float64), np.asarray(self.treatment, dtype=np.float64)
        differences = np.sort((y[:, None] - x[None, :]).ravel())
        u = float((differences > 0).sum() + 0.5 * (differences == 0).sum())
        ties = _ties(np.concatenate([x, y]))
        exact = not ties.size and len(x) + len(y) <= MAX_EXACT
        sigma = _sigma(len(x), len(y), ties)
        p = _exact_p(u, len(x), len(y)) if exact else _normal_p(u, len(differences), sigma)
        rejected = (
            _exact_rejected(len(x), len(y), self.alpha)
            if exact
            else floor(0.5 * len(differences) - 0.5 - upper(self.alpha / 2.0) * sigma)
        )
        interval = _interval(differences, rejected, self.alpha)
        effect = float(np.median(differences)) if sigma else 0.0
        return ComparisonResult(
            metric_type="mann_whitney",
            observed_effect=effect,
            observed_effect_relative=relative_pct(effect, float(np.median(x))),
            ci_lower=interval.lower,
            ci_upper=interval.upper,
            ci_level=interval.level,
            p_value=p,
            test_statistic=u,
            is_significant=p < self.alpha,
            power_achieved=power_of_p(p, self.alpha),
            verdict_code=_verdict(u, len(differences), p < self.alpha) if sigma else "degenerate",
            effect_size=2.0 * u / len(differences) - 1.0,
            effect_size_label="rank_biserial",
            ci_method="hodges_lehmann",
            ci_disagrees=interval.excludes(0.0) != (p < self.alpha),
        )


def _verdict(u: float, pairs: int, significant: bool) -> str:
    # By U, not by the shift: with many ties the median difference may be 0 where U is far from its mean.
    return verdict_of(u - 0.5 * pairs, significant)


def _ties(values: Floats) -> Floats:
    """The sizes of the groups of equal values, those of one left out."""
    _, counts = np.unique(values, return_counts=True)
    return np.asarray(counts[counts > 1], dtype=np.float64)


def _sigma(n1: int, n2: int, ties: Floats) -> float:
    n = n1 + n2
    lost = float((ties**3 - ties).sum()) / (n * (n - 1.0))
    return sqrt(max(0.0, n1 * n2 / 12.0 * (n + 1.0 - lost)))


def _normal_p(u: float, pairs: int, sigma: float) -> float:
    distance = max(0.0, abs(u - 0.5 * pairs) - 0.5)
    return two_sided(distance / sigma) if sigma else 1.0


def _exact_p(u: float, n1: int, n2: int) -> float:
    low = int(min(u, n1 * n2 - u))
    return min(1.0, 2.0 * float(_exact_law(n1, n2)[low]))


def _exact_rejected(n1: int, n2: int, alpha: float) -> int:
    """The largest U that is rejected on the low side, -1 if none is."""
    return int((2.0 * _exact_law(n1, n2) < alpha).sum()) - 1


@lru_cache(maxsize=64)
def _exact_law(n1: int, n2: int) -> Floats:
    """P(U <= u) for u = 0..n₁n₂ under the null: the coefficients of the Gaussian binomial, summed."""
    pairs = n1 * n2
    counts = [1] + [0] * pairs
    for i in range(1, n2 + 1):
        for u in range(pairs, n1 + i - 1, -1):
            counts[u] -= counts[u - n1 - i]
        for u in range(i, pairs + 1):
            counts[u] += counts[u - i]
    return np.cumsum(np.array(counts, dtype=np.float64)) / comb(n1 + n2, n1)


def _interval(differences: Floats, rejected: int, alpha: float) -> Interval:
    k = max(1, 1 + rejected)
    return Interval(float(differences[k - 1]), float(differences[-k]), 1.0 - alpha)
