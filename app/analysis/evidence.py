"""Evidence that grows only by chance while declared probabilities are true: a test that may be repeated ever."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp

from app.analysis.arrays import Floats

FALSE_ALARM = 0.001
# Bets on log odds ratios, from gross errors to small ones.
_HALVES = 2.0 ** np.arange(1, -6, -1)
LAMBDAS: Floats = np.concatenate([_HALVES, -_HALVES])
BETS: Floats = np.array([0.01, 0.05, 0.1, 0.25, 0.5])


def choice_evidence(hits: Floats, p: Floats, trials: int = 1) -> float:
    """ln E that events of declared probability do not happen as declared.

    ``E = mean over l in ±{2, 1, .5, .25, .125, .0625, .03125} of exp(sum (l y - ln(1 + p (e^l - 1))))``. While each p
    is the true probability given the past, E is a martingale that begins at 1. It ever reaches 1/a with probability
    a at most, however often one looks (Ville 1939).

    Parameters
    ----------
    hits
        How often an event happened in each row, shape (n,): 0 to ``trials``.
    p
        Its declared probability, shape (n,).
    trials
        How often each row was drawn.

    >>> y = np.repeat([1.0, 0.0], [60, 40])
    >>> round(choice_evidence(y, np.full(100, 0.5)), 10)
    0.3548101597
    """
    paths = [x * float(hits.sum()) - trials * float(np.log1p(p * math.expm1(x)).sum()) for x in LAMBDAS]
    return float(logsumexp(paths) - math.log(len(paths)))


def count_evidence(count: float, trials: float, p: float) -> float:
    """The same for ``count`` events in ``trials`` of one declared probability.

    >>> round(count_evidence(60, 100, 0.5), 10)
    0.3548101597
    """
    paths = LAMBDAS * count - trials * np.log1p(p * np.expm1(LAMBDAS))
    return float(logsumexp(paths) - math.log(len(paths)))


def highest_evidence(hits: Floats, p: Floats) -> float:
    """The largest ln E that was reached after any row, and 0 before the first.

    An alarm stands once it was raised, so it is this that is compared with the limit.
    """
    highest, reached = 0.0, np.zeros(len(LAMBDAS))
    for begin in range(0, len(hits), 65536):
        y, q = hits[begin : begin + 65536], p[begin : begin + 65536]
        paths = np.cumsum(np.outer(LAMBDAS, y) - np.log1p(np.outer(np.expm1(LAMBDAS), q)), axis=1) + reached[:, None]
        reached = paths[:, -1]
        highest = max(highest, float(logsumexp(paths, axis=0).max() - math.log(len(LAMBDAS))))
    return highest


def mean_weight_evidence(weights: Floats) -> float:
    """ln E that importance weights average more than 1.

    ``E = mean over l in {.01, .05, .1, .25, .5} of prod(1 + l (w_t - 1))``: a supermartingale if ``E w <= 1``, as true
    propensities of arms that all could be chosen make it.

    >>> round(mean_weight_evidence(np.repeat([5 / 9, 10.0], [85, 15])), 9)
    6.240914537
    """
    paths = [float(np.log1p(bet * (weights - 1.0)).sum()) for bet in BETS]
    return float(logsumexp(paths) - math.log(len(BETS)))


def alarm_limit(hypotheses: int) -> float:
    """The ln E of an alarm: ``hypotheses`` tested together raise a false one with probability .001 at most, ever."""
    return math.log(max(1, hypotheses) / FALSE_ALARM)
