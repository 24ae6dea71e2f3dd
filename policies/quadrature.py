"""The probability that an arm's score is the highest, by one-dimensional quadrature.

For independent scores ``P(i is best)`` is the integral of ``f_i`` times the product of the other ``F_j``. All arms
share the nodes of one Gauss-Legendre rule on panels that follow the arms' centres and scales. The mass of each density
is known from its distribution function, and the probabilities of all arms sum to one. These are the checks on the
error: the panels are halved until both hold to 1e-9. Where they never do there is an error, not a wrong number.
"""

from abc import ABC, abstractmethod
from copy import copy

import numpy as np
import scipy.special as sc
from numpy.polynomial.legendre import leggauss, legint, legval, legvander
from numpy.typing import NDArray

from policies.ties import pick_best

Floats = NDArray[np.float64]

TAIL = 1e-13  # mass that may be cut off at either end
TOLERANCE = 1e-9  # error of the probabilities' sum, and of each density's mass
HALVINGS = 6
NODES, WEIGHTS = leggauss(10)
# Values at a panel's nodes -> integrals from its left edge to each node: the polynomials are fitted and integrated.
PRIMITIVE = legval(NODES, legint(np.eye(10), lbnd=-1)).T @ np.linalg.inv(legvander(NODES, 9))
# Panel edges in units of an arm's scale: dense where a bell is, geometric in the tail.
STEPS = np.concatenate([[0.5, 1.1, 1.8, 2.6, 3.6, 5.0, 7.0], 10.0 * 2.2 ** np.arange(18)])
OFFSETS = np.concatenate([-STEPS[::-1], [0.0], STEPS])
GAPS = 0.45 * np.gradient(OFFSETS)
TINY = 1e-290  # below it distribution functions lose their digits
LAPLACE = 1e8  # from here on the height of a density's mode is that of a normal one, to nine digits
NEARLY = 9.0  # so many scales above the centre the distribution function is 1 to six digits and more
FAR = 30.0  # so many scales below it the first terms of a tail are right to a thousandth


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

    @abstractmethod
    def log_cdf(self, x: Floats) -> Floats:
        """Its logarithm, also where it is too small for a double."""

    @abstractmethod
    def sample(self, n: int) -> Floats:
        """n draws of all scores, a draw in each row."""

    def rounding(self) -> float:
        """How much of its mass a density may lose because its constant is a double; it is put right."""
        return 0.0

    def draw(self) -> int:
        """Draw all scores; the index of the highest."""
        return pick_best(self.sample(1)[0].tolist())

    def best(self) -> list[float]:
        """``P(arm is best)`` for each arm.

        Raises
        ------
        ArithmeticError
            The parameters are not finite, or so extreme that the integral cannot be computed to 1e-9.
        """
        if not np.isfinite(sum(float(each.sum()) for each in self.parameters)):
            raise ArithmeticError("the posterior is not finite")
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

    def edges(self, low: float, high: float) -> Floats:
        """Edges of the panels from ``low`` to ``high``."""
        centre, scale = self.shape()
        points, gaps = centre[:, None] + scale[:, None] * OFFSETS, scale[:, None] * GAPS
        return spaced(points.ravel(), gaps.ravel(), low, high)

    def _integrate(self, low: float, high: float) -> Floats:
        edges = self.edges(low, high)
        for _ in range(HALVINGS):
            p, lost = self._rule(edges)
            total = float(p.sum())
            if abs(total - 1.0) < TOLERANCE and lost < TOLERANCE + self.rounding():
                return np.asarray(p / total)
            edges = halved(edges)
        raise ArithmeticError(f"the probabilities of being best sum to {total!r}, and densities lose {lost!r}")

    def _rule(self, edges: Floats) -> tuple[Floats, float]:
        """The probabilities by the panels between these edges, and the largest error of a density's mass."""
        half = 0.5 * np.diff(edges)[:, None]
        x = 0.5 * (edges[1:] + edges[:-1])[:, None] + half * NODES
        density = np.exp(self.log_density(x.ravel())).reshape(-1, *x.shape)  # arms, panels, nodes
        # The distribution functions are integrals of what is at hand, and many times cheaper so than from scratch.
        mass = (density * half) @ WEIGHTS
        ends = self.cdf(edges[[0, -1]])
        total, right = mass.sum(axis=1), ends[:, 1] - ends[:, 0]
        scale = np.divide(right, total, out=np.ones_like(total), where=total > 0.0)[:, None]
        density, mass = density * scale[:, :, None], mass * scale
        start = ends[:, :1] + np.cumsum(mass, axis=1) - mass
        cdf = np.maximum(start[:, :, None] + (density * half) @ PRIMITIVE.T, 1e-30)
        product = np.exp(np.log(cdf).sum(axis=0))
        p = ((density / cdf * product * half) @ WEIGHTS).sum(axis=1)
        return np.asarray(p), float(np.abs(total - right).max())


def halved(edges: Floats) -> Floats:
    """The edges and the middles between them.

    >>> halved(np.array([0.0, 1.0, 3.0])).tolist()
    [0.0, 0.5, 1.0, 2.0, 3.0]
    """
    return np.sort(np.concatenate([edges, 0.5 * (edges[1:] + edges[:-1])]))


def spaced(points: Floats, gaps: Floats, low: float, high: float) -> Floats:
    """The points between ``low`` and ``high`` in their order, without those closer to the last than their gap."""
    inside = (points > low) & (points < high)
    order = np.argsort(points[inside])
    edges = [low]
    for point, gap in zip(points[inside][order].tolist(), gaps[inside][order].tolist(), strict=True):
        if point - edges[-1] >= gap:
            edges.append(point)
    return np.array([*edges, high])


def standard(centre: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Centres measured from the highest one, so that large ones keep their differences, in units of the largest scale.

    A scale that is too small for a double to tell it from the distance to the highest centre is made as large as that.
    Draws come from the same scales, so they follow the probabilities.
    """
    with np.errstate(all="ignore"):  # what is not finite is told by ``best``
        centre = centre - centre.max()
        unit = max(float(scale.max()), 1e-13 * float(np.abs(centre).max())) or 1.0
        centre = centre / unit
        return centre, np.maximum(np.maximum(scale / unit, 1e-13 * np.abs(centre)), 1e-90)


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

    def log_cdf(self, x: Floats) -> Floats:
        mean, sd = (each[:, None] for each in self.parameters)
        return np.asarray(sc.log_ndtr((x - mean) / sd))

    def sample(self, n: int) -> Floats:
        mean, sd = self.parameters
        return np.asarray(mean + sd * np.random.standard_normal((n, len(mean))))


class BetaScores(Scores):
    """Beta(a, b) on the log-odds scale, where the density is smooth for every a and b."""

    def shape(self) -> tuple[Floats, Floats]:
        a, b = self.parameters
        return sc.digamma(a) - sc.digamma(b), np.sqrt(sc.zeta(2.0, a) + sc.zeta(2.0, b))

    def tails(self) -> tuple[Floats, Floats]:
        a, b = self.parameters
        lower, upper = (np.maximum(sc.betaincinv(*shape, TAIL), 1e-300) for shape in ((a, b), (b, a)))
        low, high = np.log(lower) - np.log1p(-lower), np.log1p(-upper) - np.log(upper)
        if not self._large():
            return low, high
        # scipy's inverse is wrong for some a or b (1000 beside more than 1e8): then far enough out, by the variance.
        centre, scale = self.shape()
        low = np.where(sc.betainc(a, b, lower) > 10.0 * TAIL, centre - 9.0 * scale, low)
        return low, np.where(sc.betainc(b, a, upper) > 10.0 * TAIL, centre + 9.0 * scale, high)

    def _large(self) -> bool:
        """Whether there are so many observations that the plain formulas lose digits."""
        a, b = self.parameters
        return bool((a + b).max() > 1e6)

    def rounding(self) -> float:
        a, b = self.parameters
        return 1e-13 * min(float((a + b).max()), 1e9)

    def log_density(self, x: Floats) -> Floats:
        a, b = (each[:, None] for each in self.parameters)
        if not self._large():
            return np.asarray(a * sc.log_expit(x) + b * sc.log_expit(-x) - sc.betaln(a, b))
        # Measured from the mode, so that what is left of the large terms keeps its digits.
        mode, p = np.log(a) - np.log(b), a / (a + b)
        off = np.clip(x - mode, -700.0, 700.0)
        exact = a * sc.log_expit(mode) + b * sc.log_expit(-mode) - sc.betaln(a, b)
        top = np.where(np.minimum(a, b) < LAPLACE, exact, 0.5 * np.log(a * b / (a + b) / (2.0 * np.pi)))
        return np.asarray(top - a * np.log1p((1.0 - p) * np.expm1(-off)) - b * np.log1p(p * np.expm1(off)))

    def cdf(self, x: Floats) -> Floats:
        a, b = (each[:, None] for each in self.parameters)
        left = x < 0  # the smaller of p and 1 - p keeps its digits
        return np.concatenate([sc.betainc(a, b, sc.expit(x[left])), sc.betaincc(b, a, sc.expit(-x[~left]))], axis=1)

    def log_cdf(self, x: Floats) -> Floats:
        a, b = (each[:, None] for each in self.parameters)
        centre, scale = (each[:, None] for each in self.shape())
        # Far out in the tail the incomplete beta function is p**a (1-p)**b / (a B(a, b)) times nearly a geometric sum.
        ratio = np.minimum((a + b) / (a + 1.0) * sc.expit(x), 0.999)
        logs = np.where(x < centre, self.log_density(x) - np.log(a) - np.log1p(-ratio), 0.0)
        near = (x > centre - FAR * scale) & (x < centre + NEARLY * scale)
        a, b, x = (np.broadcast_to(each, near.shape)[near] for each in (a, b, x))
        p, left = np.empty(len(x)), x < 0.0
        p[left] = sc.betainc(a[left], b[left], sc.expit(x[left]))
        p[~left] = sc.betaincc(b[~left], a[~left], sc.expit(-x[~left]))
        logs[near] = np.where(p > TINY, np.log(np.maximum(p, TINY)), logs[near])
        return np.asarray(logs)

    def sample(self, n: int) -> Floats:
        a, b = self.parameters
        return np.asarray(log_gamma_draws(a, n) - log_gamma_draws(b, n))


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

    def rounding(self) -> float:
        return 1e-13 * min(float(self.parameters[1].max()), 1e9)

    def log_density(self, x: Floats) -> Floats:
        log_c, a = (each[:, None] for each in self.parameters)
        # Measured from the mode, so that what is left of the large terms keeps its digits.
        off = np.minimum(log_c - np.log(2.0) - np.log(a) - x, 700.0)
        top = np.where(a < LAPLACE, a * np.log(a) - a - sc.gammaln(a), 0.5 * np.log(a / (2.0 * np.pi)))
        return np.asarray(top + a * (off - np.expm1(off)))

    def cdf(self, x: Floats) -> Floats:
        log_c, a = (each[:, None] for each in self.parameters)
        return np.asarray(sc.gammaincc(a, 0.5 * np.exp(np.minimum(log_c - x, 700.0))))

    def log_cdf(self, x: Floats) -> Floats:
        return np.asarray(np.log(np.maximum(self.cdf(x), TINY)))

    def sample(self, n: int) -> Floats:
        log_c, a = self.parameters
        return np.asarray(log_c - np.log(2.0) - log_gamma_draws(a, n))


def log_gamma_draws(shape: Floats, n: int) -> Floats:
    """Logarithms of n gamma draws for each shape, a draw in each row; small shapes don't underflow.

    A gamma variable of shape a is one of shape a + 1 times ``U**(1/a)`` with a uniform U.
    """
    small = shape < 1.0
    draws = np.log(np.maximum(np.random.standard_gamma(shape + small, size=(n, len(shape))), 1e-300))
    if small.any():
        draws[:, small] += np.log(1.0 - np.random.random((n, int(small.sum())))) / shape[small]
    return draws
