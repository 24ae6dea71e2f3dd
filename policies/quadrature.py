"""The probability that an arm's score is the highest, by one-dimensional quadrature.

For independent scores ``P(i is best)`` is the integral of ``f_i`` times the product of the other ``F_j``. All arms
share the nodes of one Gauss-Legendre rule on panels that follow the arms' centres and scales. The probabilities of all
arms sum to one, which is a free check on the error: the panels are halved until it holds to 1e-9, or to what the
densities can be computed to.
"""

from abc import ABC, abstractmethod
from copy import copy

import numpy as np
import scipy.special as sc
from numpy.polynomial.legendre import leggauss, legint, legval, legvander
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAIL = 1e-13  # mass that may be cut off at either end
NODES, WEIGHTS = leggauss(10)
# Values at a panel's nodes -> integrals from its left edge to each node: the polynomials are fitted and integrated.
PRIMITIVE = legval(NODES, legint(np.eye(10), lbnd=-1)).T @ np.linalg.inv(legvander(NODES, 9))
# Panel edges in units of an arm's scale: dense where a bell is, geometric in the tail, far enough for Student's t.
STEPS = np.concatenate([[0.5, 1.1, 1.8, 2.6, 3.6, 5.0, 7.0], 10.0 * 2.2 ** np.arange(18)])
OFFSETS = np.concatenate([-STEPS[::-1], [0.0], STEPS])
GAPS = 0.45 * np.gradient(OFFSETS)


class Scores(ABC):
    """Independent random scores, one per arm, on a scale where their densities are smooth."""

    def __init__(self, *parameters: Floats) -> None:
        self.parameters = parameters

    @abstractmethod
    def shape(self) -> tuple[Floats, Floats]:
        """Centre and scale of each arm."""

    @abstractmethod
    def tails(self) -> tuple[Floats, Floats]:
        """The quantiles of each arm that cut off the mass ``TAIL``."""

    @abstractmethod
    def log_density(self, x: Floats) -> Floats:
        """Log density, arms in rows, nodes in columns."""

    @abstractmethod
    def cdf(self, x: Floats) -> Floats:
        """Distribution function, arms in rows, nodes in columns."""

    def tolerance(self) -> float:
        """How far from one the sum of the probabilities may be."""
        return 1e-9

    def best(self) -> list[float]:
        """``P(arm is best)`` for each arm."""
        lower, upper = self.tails()
        low, high = float(lower.max()), float(upper.max())
        contenders = upper > low
        p = np.zeros(len(lower))
        if contenders.sum() == 1:
            p[contenders] = 1.0
        else:
            few = copy(self)
            few.parameters = tuple(each[contenders] for each in self.parameters)
            p[contenders] = few._integrate(low, high)
        return [float(share) for share in p]

    def _integrate(self, low: float, high: float) -> Floats:
        edges = panels(*self.shape(), low, high)
        p = self._rule(edges)
        for _ in range(3):
            if abs(p.sum() - 1.0) < self.tolerance():
                break
            edges = np.sort(np.concatenate([edges, 0.5 * (edges[1:] + edges[:-1])]))
            p = self._rule(edges)
        return np.asarray(p / p.sum())

    def _rule(self, edges: Floats) -> Floats:
        half = 0.5 * np.diff(edges)[:, None]
        x = 0.5 * (edges[1:] + edges[:-1])[:, None] + half * NODES
        density = np.exp(self.log_density(x.ravel())).reshape(-1, *x.shape)  # arms, panels, nodes
        # The distribution functions are integrals of what is at hand, and many times cheaper so than from scratch.
        mass = (density * half) @ WEIGHTS
        start = self.cdf(edges[:1]) + np.cumsum(mass, axis=1) - mass
        cdf = np.maximum(start[:, :, None] + (density * half) @ PRIMITIVE.T, 1e-30)
        product = np.exp(np.log(cdf).sum(axis=0))
        return np.asarray(((density / cdf * product * half) @ WEIGHTS).sum(axis=1))


def panels(centre: Floats, scale: Floats, low: float, high: float) -> Floats:
    """Edges from ``low`` to ``high`` that are close together where an arm is narrow."""
    points = (centre[:, None] + scale[:, None] * OFFSETS).ravel()
    gaps = (scale[:, None] * GAPS).ravel()
    inside = (points > low) & (points < high)
    order = np.argsort(points[inside])
    edges = [low]
    for point, gap in zip(points[inside][order].tolist(), gaps[inside][order].tolist(), strict=True):
        if point - edges[-1] >= gap:
            edges.append(point)
    return np.array([*edges, high])


def standard(centre: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Centres measured from the highest one, so that large ones keep their differences, in units of the largest scale.

    A scale that is too small for a double to tell it from the distance between the centres is made as large as that.
    """
    centre = centre - centre.max()
    unit = max(float(scale.max()), 1e-13 * float(np.abs(centre).max())) or 1.0
    return centre / unit, np.maximum(scale / unit, 1e-13)


class BetaScores(Scores):
    """Beta(a, b) on the log-odds scale, where the density is smooth for every a and b."""

    def shape(self) -> tuple[Floats, Floats]:
        a, b = self.parameters
        return sc.digamma(a) - sc.digamma(b), np.sqrt(sc.zeta(2.0, a) + sc.zeta(2.0, b))

    def tails(self) -> tuple[Floats, Floats]:
        a, b = self.parameters
        lower, upper = (np.maximum(sc.betaincinv(*shape, TAIL), 1e-300) for shape in ((a, b), (b, a)))
        return np.log(lower) - np.log1p(-lower), np.log1p(-upper) - np.log(upper)

    def tolerance(self) -> float:
        a, b = self.parameters
        return max(1e-9, 1e-14 * float((a + b).max()))

    def log_density(self, x: Floats) -> Floats:
        a, b = (each[:, None] for each in self.parameters)
        return np.asarray(a * sc.log_expit(x) + b * sc.log_expit(-x) - sc.betaln(a, b))

    def cdf(self, x: Floats) -> Floats:
        a, b = (each[:, None] for each in self.parameters)
        left = x < 0  # the smaller of p and 1 - p keeps its digits
        return np.concatenate([sc.betainc(a, b, sc.expit(x[left])), sc.betaincc(b, a, sc.expit(-x[~left]))], axis=1)


class NormalScores(Scores):
    """Normal(mean, sd)."""

    def __init__(self, mean: Floats, sd: Floats) -> None:
        super().__init__(*standard(mean, sd))

    def shape(self) -> tuple[Floats, Floats]:
        mean, sd = self.parameters
        return mean, sd

    def tails(self) -> tuple[Floats, Floats]:
        mean, sd = self.parameters
        reach = -sc.ndtri(TAIL) * sd
        return mean - reach, mean + reach

    def log_density(self, x: Floats) -> Floats:
        mean, sd = (each[:, None] for each in self.parameters)
        return np.asarray(-0.5 * ((x - mean) / sd) ** 2 - np.log(sd * np.sqrt(2.0 * np.pi)))

    def cdf(self, x: Floats) -> Floats:
        mean, sd = (each[:, None] for each in self.parameters)
        return np.asarray(sc.ndtr((x - mean) / sd))


class StudentScores(Scores):
    """Student's t with location, scale and degrees of freedom."""

    def __init__(self, mean: Floats, scale: Floats, df: Floats) -> None:
        super().__init__(*standard(mean, scale), df)

    def shape(self) -> tuple[Floats, Floats]:
        mean, scale, _ = self.parameters
        return mean, scale

    def tails(self) -> tuple[Floats, Floats]:
        mean, scale, df = self.parameters
        reach = -sc.stdtrit(df, TAIL) * scale
        return mean - reach, mean + reach

    def log_density(self, x: Floats) -> Floats:
        mean, scale, df = (each[:, None] for each in self.parameters)
        square = ((x - mean) / scale) ** 2
        return np.asarray(
            -0.5 * (df + 1.0) * np.log1p(square / df) - sc.betaln(0.5, 0.5 * df) - np.log(scale * np.sqrt(df))
        )

    def cdf(self, x: Floats) -> Floats:
        mean, scale, df = (each[:, None] for each in self.parameters)
        return np.asarray(sc.stdtr(df, (x - mean) / scale))


class GainScores(Scores):
    """Logarithm of ``c / chi-square(df)``: what a subject gains in a group whose variance is uncertain."""

    def __init__(self, c: Floats, df: Floats) -> None:
        super().__init__(np.log(c) - np.log(c).max(), 0.5 * df)

    def shape(self) -> tuple[Floats, Floats]:
        log_c, a = self.parameters
        return log_c - np.log(2.0) - sc.digamma(a), np.sqrt(sc.zeta(2.0, a))

    def tails(self) -> tuple[Floats, Floats]:
        log_c, a = self.parameters
        return log_c - np.log(2.0 * sc.gammainccinv(a, TAIL)), log_c - np.log(2.0 * sc.gammaincinv(a, TAIL))

    def log_density(self, x: Floats) -> Floats:
        log_c, a = (each[:, None] for each in self.parameters)
        log_half = np.minimum(log_c - x - np.log(2.0), 700.0)
        return np.asarray(a * log_half - np.exp(log_half) - sc.gammaln(a))

    def cdf(self, x: Floats) -> Floats:
        log_c, a = (each[:, None] for each in self.parameters)
        return np.asarray(sc.gammaincc(a, 0.5 * np.exp(np.minimum(log_c - x, 700.0))))
