"""What the data say of two arms: the probability that treatment beats control, and what a wrong choice would cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import betainc, betaln, xlog1py, xlogy

from app.analysis.ab.checks import finite, positive
from app.analysis.ab.normal import cdf, density
from app.analysis.ab.statistic import Floats, Proportion

_NODES, _WEIGHTS = leggauss(20)
# Panel edges in standard deviations from the mean: dense where a bell is, then out to where e^-x is below 1e-19.
_STEPS = np.concatenate([np.arange(0.5, 6.5, 0.5), 6.0 * 1.25 ** np.arange(1, 12)])


@dataclass(frozen=True)
class Posterior:
    """P(treatment > control), and the expected loss of shipping either one."""

    probability: float
    loss_treatment: float
    loss_control: float


def beta_posterior(control: Proportion, treatment: Proportion) -> Posterior:
    """With uniform priors: A ~ Beta(1+s, 1+f) for each arm, by quadrature instead of draws.

    P(B>A) = ∫f_B·F_A; loss of shipping B = E max(A-B, 0) = ∫F_B(1-F_A), and the reverse.
    Source: Stucchio (2015), Bayesian A/B Testing at VWO.

    >>> found = beta_posterior(Proportion(200, 2000), Proportion(260, 2000))
    >>> round(found.probability, 10), round(found.loss_control, 9)
    (0.9985309319, 0.029974262)
    """
    first, second = _Beta.of(control), _Beta.of(treatment)
    edges = np.unique(np.concatenate([[0.0, 1.0], first.edges(), second.edges()]))
    half = 0.5 * np.diff(edges)[:, None]
    x = (0.5 * (edges[1:] + edges[:-1])[:, None] + half * _NODES).ravel()
    weights = (half * _WEIGHTS).ravel()
    below_a, above_a = first.below(x), first.above(x)
    below_b, above_b = second.below(x), second.above(x)
    return Posterior(
        probability=min(1.0, float(weights @ (second.density(x) * below_a))),
        loss_treatment=float(weights @ (below_b * above_a)),
        loss_control=float(weights @ (below_a * above_b)),
    )


def normal_posterior(difference: float, error: float) -> Posterior:
    """With a flat prior and a normal difference Δ: u = Δ/SE, P = Φ(u).

    Loss of shipping treatment SE(φ(u)-u(1-Φ(u))), of control SE(φ(u)+uΦ(u)).

    >>> found = normal_posterior(3.0, 1.25)
    >>> round(found.probability, 10), round(found.loss_treatment, 12)
    (0.9918024641, 0.003400555095)
    """
    u = finite("difference", difference) / positive("error", error)
    # For u far from 0, φ(u)-|u|Φ(-|u|) is a difference of nearly equal numbers: the other loss is that one + |Δ|.
    small = error * max(0.0, density(u) - abs(u) * cdf(-abs(u)))
    large = small + abs(difference)
    return Posterior(cdf(u), *((small, large) if difference >= 0.0 else (large, small)))


@dataclass(frozen=True)
class _Beta:
    a: float
    b: float

    @classmethod
    def of(cls, arm: Proportion) -> _Beta:
        return cls(1.0 + arm.successes, 1.0 + arm.n - arm.successes)

    def edges(self) -> Floats:
        mean = self.a / (self.a + self.b)
        sd = sqrt(mean * (1.0 - mean) / (self.a + self.b + 1.0))
        points = np.concatenate([mean - sd * _STEPS, [mean], mean + sd * _STEPS])
        return np.asarray(points[(points > 0.0) & (points < 1.0)])

    def density(self, x: Floats) -> Floats:
        return np.asarray(np.exp(xlogy(self.a - 1.0, x) + xlog1py(self.b - 1.0, -x) - betaln(self.a, self.b)))

    def below(self, x: Floats) -> Floats:
        return np.asarray(betainc(self.a, self.b, x))

    def above(self, x: Floats) -> Floats:
        return np.asarray(betainc(self.b, self.a, 1.0 - x))  # betaincc takes six times as long
