"""Permutation tests of means (`bootstrap`) and of quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.analysis.ab.checks import between
from app.analysis.ab.compare.equivalence import cohen_d
from app.analysis.ab.compare.power import power_of_p
from app.analysis.ab.compare.resampling import Location, bootstrap_interval, permutation_p
from app.analysis.ab.compare.result import ComparisonResult, relative_pct, verdict_of
from app.analysis.ab.statistic import Floats, SampleMean, sample, values


@dataclass(frozen=True)
class PermutationTest:
    """The difference of means over random splits, with a percentile interval and Cohen's d.

    Sources: Phipson, Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39; Efron, Tibshirani (1993), An Introduction to
    the Bootstrap, section 13.3.

    >>> found = PermutationTest((10.2, 9.7, 11.1, 10.4), (11.9, 12.4, 10.8, 13.1)).result()
    >>> round(found.observed_effect, 9), round(found.p_value, 9)
    (1.7, 0.057142857)
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
        d = cohen_d(SampleMean.of(self.control), SampleMean.of(self.treatment))
        x, y = sample("control_values", self.control), sample("treatment_values", self.treatment)
        return _result("bootstrap", x, y, _means, self.alpha, d)


@dataclass(frozen=True)
class QuantileTest:
    """The difference of a quantile (linear interpolation) over random splits, with a percentile interval.

    Sources: as :class:`PermutationTest`; Hyndman, Fan (1996), American Statistician 50:361, type 7.

    >>> QuantileTest((10.2, 9.7, 11.1, 10.4), (11.9, 12.4, 10.8, 13.1)).result().p_value * 70
    4.0
    """

    control: Sequence[float]
    treatment: Sequence[float]
    alpha: float = 0.05
    quantile: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "control", values("control_values", self.control))
        object.__setattr__(self, "treatment", values("treatment_values", self.treatment))
        between("alpha", self.alpha)
        between("quantile", self.quantile)

    def result(self) -> ComparisonResult:
        """Test, interval and decision, in the unit of the values."""

        def quantiles(rows: Floats) -> Floats:
            return np.asarray(np.quantile(rows, self.quantile, axis=1))

        x, y = sample("control_values", self.control), sample("treatment_values", self.treatment)
        return _result("quantile", x, y, quantiles, self.alpha, None)


def _means(rows: Floats) -> Floats:
    return np.asarray(rows.mean(axis=1))


def _result(
    metric_type: str, x: Floats, y: Floats, location: Location, alpha: float, d: float | None
) -> ComparisonResult:
    base = float(location(x[None, :])[0])
    varies = np.ptp(np.concatenate([x, y])) > 0.0
    effect = float(location(y[None, :])[0]) - base if varies else 0.0
    p = permutation_p(x, y, location) if varies else 1.0
    interval = bootstrap_interval(x, y, location, alpha)
    significant = p < alpha
    return ComparisonResult(
        metric_type=metric_type,
        observed_effect=effect,
        observed_effect_relative=relative_pct(effect, base),
        ci_lower=interval.lower,
        ci_upper=interval.upper,
        ci_level=interval.level,
        p_value=p,
        test_statistic=effect,
        is_significant=significant,
        power_achieved=power_of_p(p, alpha),
        verdict_code=verdict_of(effect, significant) if varies else "degenerate",
        effect_size=d,
        effect_size_label=None if d is None else "cohens_d",
        ci_method="percentile_bootstrap",
        ci_disagrees=interval.excludes(0.0) != significant,
    )
