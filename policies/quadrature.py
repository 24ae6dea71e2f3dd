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


def coarseness(centre: Floats, scale: Floats) -> float:
    """How much mass a density may lose because a double hardly resolves its scale so far from the highest centre."""
    return float((1e-15 * np.abs(centre) / scale).max())


class NormalScores(Scores):
    """Normal(mean, sd)."""

    def __init__(self, mean: Floats, sd: Floats) -> None:
        super().__init__(*standard(mean, sd))

    def rounding(self) -> float:
        return coarseness(*self.parameters)

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
