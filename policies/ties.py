"""The best of several values. Values that are equal but for rounding tie, and those that tie share."""

import math
from collections.abc import Sequence

import numpy as np

ROUNDING = 1e-13  # of the best value: some hundred times what one operation loses


def leads(values: Sequence[float]) -> list[bool]:
    """Which values are the highest, within rounding.

    Raises
    ------
    ArithmeticError
        One of the values is NaN, so there is no highest.

    Examples
    --------
    >>> leads([1 / 3, 1.0, 1.0 - 1e-16])
    [False, True, True]
    """
    best = max(values)
    least = best - ROUNDING * abs(best) if abs(best) < math.inf else best
    for value in values:
        if value != value:
            raise ArithmeticError("a score is not a number")
    return [value >= least for value in values]


def share_best(values: Sequence[float]) -> list[float]:
    """All probability to the highest value; ties share it.

    >>> share_best([1.0, 3.0, 3.0])
    [0.0, 0.5, 0.5]
    """
    ties = leads(values)
    p = 1.0 / sum(ties)
    return [p if tie else 0.0 for tie in ties]


def pick_best(values: Sequence[float]) -> int:
    """The index of the highest value; of those that tie any, each as likely.

    >>> np.random.seed(1)
    >>> [pick_best([1.0, 3.0, 3.0]) for _ in range(5)]
    [2, 2, 1, 1, 2]
    """
    ties = [i for i, tie in enumerate(leads(values)) if tie]
    return ties[0] if len(ties) == 1 else ties[np.random.randint(len(ties))]
