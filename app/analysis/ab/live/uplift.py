"""How large an observed uplift may truly be: draws of the relative effect."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from app.analysis.ab.checks import whole
from app.analysis.ab.statistic import Floats, Proportion, SampleMean

PERCENTILES = (5, 25, 50, 75, 95)
THRESHOLDS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10)


@dataclass(frozen=True)
class UpliftDistribution:
    """Relative uplifts (0.05: five percent): percentiles, P(> 0), P(> threshold), and the draws."""

    num_simulations: int
    percentiles: dict[str, float]
    probability_uplift_positive: float
    probability_uplift_above_threshold: dict[str, float]
    simulated_uplifts: tuple[float, ...]


def simulate_uplift(
    control: Proportion | SampleMean, treatment: Proportion | SampleMean, key: str, simulations: int = 10_000
) -> UpliftDistribution:
    """Draw both arms from their posteriors: Beta(1+s, 1+f) of a proportion, normal of a mean.

    ``key`` (an experiment's id) seeds the draws: the same key and data give the same numbers.
    Source: Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 2.4 and 2.5.

    >>> found = simulate_uplift(Proportion(200, 2000), Proportion(260, 2000), "exp-7")
    >>> round(found.probability_uplift_positive, 2), round(found.percentiles["50"], 1)
    (1.0, 0.3)
    """
    whole("monte_carlo_simulations", simulations, 1, 50_000)
    rng = np.random.default_rng(int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little"))
    first, second = _draws(control, rng, simulations), _draws(treatment, rng, simulations)
    uplifts = (second - first) / np.abs(first)
    return UpliftDistribution(
        num_simulations=simulations,
        percentiles={str(p): float(np.percentile(uplifts, p)) for p in PERCENTILES},
        probability_uplift_positive=float((uplifts > 0.0).mean()),
        probability_uplift_above_threshold={f"{t:.2f}": float((uplifts > t).mean()) for t in THRESHOLDS},
        simulated_uplifts=tuple(uplifts.tolist()),
    )


def _draws(arm: Proportion | SampleMean, rng: np.random.Generator, count: int) -> Floats:
    if isinstance(arm, Proportion):
        return rng.beta(1.0 + arm.successes, 1.0 + arm.n - arm.successes, count)
    return rng.normal(arm.mean, arm.error_variance**0.5, count)
