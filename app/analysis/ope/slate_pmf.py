"""Probabilities by position from the pmf of whole slates."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from app.analysis.arrays import Floats

Slate = tuple[Hashable, ...]


def conditionals_of(pmf: Mapping[Slate, float], slate: Sequence[Hashable]) -> Floats:
    """``p(s_j | s_<j)`` of a slate, shape (k,); 0 from the first position that cannot be.

    >>> conditionals_of({("a", "b"): 0.25, ("a", "c"): 0.25, ("b", "a"): 0.5}, ("a", "c")).tolist()
    [0.5, 0.5]
    """
    found, before = np.zeros(len(slate)), sum(pmf.values())
    for place in range(len(slate)):
        begin = tuple(slate[: place + 1])
        here = sum(p for other, p in pmf.items() if other[: place + 1] == begin)
        if not here:
            break
        found[place] = here / before
        before = here
    return found


def marginals_of(pmf: Mapping[Slate, float], slate: Sequence[Hashable]) -> Floats:
    """``P(item at position j)`` of the items of a slate, shape (k,).

    >>> marginals_of({("a", "b"): 0.25, ("b", "a"): 0.25, ("c", "b"): 0.5}, ("a", "b")).tolist()
    [0.25, 0.75]
    """
    return np.array(
        [
            sum(p for other, p in pmf.items() if len(other) > place and other[place] == item)
            for place, item in enumerate(slate)
        ]
    )
