"""Logs whose every number is fixed by arithmetic, so that figures can be compared to the last digits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.analysis.log import DecisionLog

Floats = npt.NDArray[np.float64]
GOLDEN, PLASTIC, SUPER, SILVER = 0.6180339887498949, 0.7548776662466927, 0.5698402909980532, 0.41421356237309515
MEANS = np.array([[0.5, 0.4, 0.3], [0.2, 0.6, 0.3]])


def fractions(n: int, c: float) -> Floats:
    """``t c mod 1`` for t = 1..n."""
    return np.arange(1, n + 1, dtype=float) * c % 1.0


def w_log(n: int = 2000) -> DecisionLog:
    """A log of three arms, whose exploration falls to 5 % each."""
    u1, u2, u3 = fractions(n, GOLDEN), fractions(n, PLASTIC), fractions(n, SUPER)
    x = (u3 < 0.4).astype(int)
    g = np.maximum(1 / (3 * np.sqrt(np.arange(1, n + 1))), 0.05)
    pmf = np.stack([1 - 2 * g, g, g], axis=1)
    arm = np.where(u1 < 1 - 2 * g, 0, np.where(u1 < (1 - 2 * g) + g, 1, 2))
    return _log(x, u2, arm, pmf)


def u_log(n: int = 3000) -> DecisionLog:
    """A log of three arms, each with probability 1/3."""
    u1, u2, u3 = fractions(n, GOLDEN), fractions(n, PLASTIC), fractions(n, SUPER)
    return _log((u3 < 0.4).astype(int), u2, np.floor(3 * u1).astype(int), np.full((n, 3), 1 / 3))


def _log(x: npt.NDArray[np.int64], u2: Floats, arm: npt.NDArray[np.int64], pmf: Floats) -> DecisionLog:
    rows = np.arange(len(x))
    reward = (u2 < MEANS[x, arm]).astype(float)
    return DecisionLog(("a", "b", "c"), arm, pmf[rows, arm], reward, pmf=pmf, context={"x": x}, lo=0.0, hi=1.0)


def targets(log: DecisionLog) -> dict[str, Floats]:
    """The four candidates of the figures, as probabilities of shape (n, 3)."""
    n, x = len(log), np.asarray(log.context["x"])
    by_x = np.eye(3)[np.where(x == 0, 0, 1)]
    return {
        "T1": np.tile([0.0, 1.0, 0.0], (n, 1)),
        "T2": by_x,
        "T3": np.full((n, 3), 1 / 3),
        "T4": np.tile([0.2, 0.5, 0.3], (n, 1)),
    }


def s_log(n: int = 1000) -> tuple[npt.NDArray[np.int64], Floats, Floats, Floats]:
    """Slates of two of four items: slates (n, 2), clicks (n, 2), worths of the log and of the candidate (4,)."""
    scores, rates = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.1, 0.2, 0.6, 0.8])
    worth = np.exp(scores / 0.2)
    slates = np.empty((n, 2), dtype=np.int64)
    for row, draws in enumerate(zip(fractions(n, GOLDEN), fractions(n, PLASTIC), strict=True)):
        left = [0, 1, 2, 3]
        for place, u in enumerate(draws):
            p = worth[left] / worth[left].sum()
            slates[row, place] = left.pop(min(int(np.searchsorted(np.cumsum(p), u, side="right")), len(left) - 1))
    first = fractions(n, SUPER) < rates[slates[:, 0]]
    second = fractions(n, SILVER) < 0.7 * rates[slates[:, 1]]
    return slates, np.stack([first, second], axis=1).astype(float), worth, np.exp(scores[::-1] / 0.2)
