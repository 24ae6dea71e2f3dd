"""Looks taken when they came: the information reached, and boundaries that spend the plan's shares then."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from scipy.optimize import brentq

from app.analysis.ab.checks import ParameterError, positive
from app.analysis.ab.normal import cdf, upper
from app.analysis.ab.sequential.boundaries import SequentialBoundary
from app.analysis.ab.sequential.crossing import Path


def information_fraction(control_n: int, treatment_ns: Sequence[int], planned_n: float) -> float:
    """min over arms of (n_c·n_t/(n_c+n_t))/(n_plan/2): 1 when each comparison is as precise as planned.

    ``planned_n`` is the number per arm of the whole design, the inflation for looks included. Not cut off at 1.
    Source: Jennison, Turnbull (2000), Group Sequential Methods, section 3.1.

    >>> round(information_fraction(9000, [1000], 14751), 10)
    0.1220256254
    """
    positive("planned_n", planned_n)
    if not treatment_ns:
        raise ParameterError("treatment_ns", "a list with one number for each treatment", treatment_ns)
    worst = min(control_n * n / (control_n + n) if n else 0.0 for n in treatment_ns)
    return worst / (planned_n / 2.0)


def due_look(fraction: float, n_looks: int, taken: int = 0) -> int | None:
    """The number of the look that is due: the highest k with k/K reached, if it is not among those ``taken``.

    >>> due_look(0.61, 5, taken=2), due_look(0.61, 5, taken=3)
    (3, None)
    """
    reached = min(n_looks, int(fraction * n_looks + 1e-9))
    return reached if reached > taken else None


def spending_boundaries(
    boundary: SequentialBoundary, fractions: Sequence[float], looks: Sequence[int] | None = None
) -> tuple[float, ...]:
    """Boundaries of |z| at the fractions that came, which spend by look k what the plan spends by look k.

    ``looks`` are the planned numbers of these looks (1, 2, ... unless given); one that was skipped spends its share at
    the next. ``fractions`` increase; the last may be
    above 1 if it came late.
    Sources: Slud, Wei (1982), JASA 77:862; Lan, DeMets (1983), Biometrika 70:659.

    >>> [round(z, 4) for z in spending_boundaries(SequentialBoundary(3), [0.35, 0.7, 1.0])]
    [3.4711, 2.4544, 1.9984]
    """
    numbers = list(range(1, len(fractions) + 1)) if looks is None else list(looks)
    _check(boundary, fractions, numbers)
    found: list[float] = []
    for k in range(len(fractions)):
        found.append(next_boundary(boundary, fractions[: k + 1], numbers[: k + 1], found))
    return tuple(found)


def next_boundary(
    boundary: SequentialBoundary, fractions: Sequence[float], looks: Sequence[int], earlier: Sequence[float]
) -> float:
    """The boundary of the last of these looks, where the earlier ones had the boundaries ``earlier``.

    >>> round(next_boundary(SequentialBoundary(3), [0.35, 0.7], [1, 2], [3.471091442]), 6)
    2.454432
    """
    _check(boundary, fractions, looks)
    if len(earlier) != len(looks) - 1:
        raise ParameterError("earlier", f"{len(looks) - 1} boundaries, one for each earlier look", list(earlier))
    path, spent = Path(), (0.0, *boundary.spent)
    for k, z in enumerate(earlier):
        path = path.carried(fractions[k], z, fractions[k + 1])
    before = looks[-2] if len(looks) > 1 else 0
    return _boundary(path, fractions[-1], spent[looks[-1]] - spent[before])


def _boundary(path: Path, time: float, share: float) -> float:
    """The z whose first crossing at ``time`` has the probability ``share``."""
    # Ignoring that some paths have crossed before, z_{1-share/2} crosses too often or exactly as often.
    if share < 1e-300:
        return inf
    high = upper(share / 2.0) + 1e-6
    return float(brentq(lambda z: path.exits(time, z) - share, 0.0, high, xtol=1e-13, rtol=1e-13))


def _check(boundary: SequentialBoundary, fractions: Sequence[float], numbers: Sequence[int]) -> None:
    rising = all(a < b for a, b in zip([0.0, *fractions], [*fractions, inf], strict=True))
    if not rising:
        raise ParameterError("fractions", "increasing numbers above 0", list(fractions))
    rising = all(a < b for a, b in zip([0, *numbers], [*numbers, boundary.n_looks + 1], strict=True))
    if not rising or len(numbers) != len(fractions):
        raise ParameterError("looks", f"increasing numbers of the plan's {boundary.n_looks} looks", list(numbers))


def continuous_polling_level(c: float) -> float:
    """The false positive rate of polling without end against c/√t up to t = 1: 4(1-Φ(c)) but for a negligible rest.

    Why looks must not be taken by polls. By reflection, P(max|W| >= c) = 4Σ(-1)^k(1-Φ((2k+1)c)).
    Source: Feller (1971), An Introduction to Probability Theory and Its Applications, vol. 2, section X.5.

    >>> round(continuous_polling_level(2.040073175), 8)
    0.08268607
    """
    positive("c", c)
    return min(1.0, 4.0 * sum((-1.0) ** k * cdf(-(2 * k + 1) * c) for k in range(max(10, int(20 / c)))))
