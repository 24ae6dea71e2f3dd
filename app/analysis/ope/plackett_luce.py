"""Slates by the Plackett-Luce model: probabilities of items by position."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from app.analysis.arrays import Floats, Ints

EXACT = 3  # positions up to which orders are counted out
DRAWS = 10_000


def conditionals(worth: Floats, slates: Ints) -> Floats:
    """``p(s_j | s_<j)`` of each position, shape (n, k).

    ``worth`` holds the items' positive worths, ``exp(score / tau)``, shape (K,) or (n, K).

    >>> conditionals(np.array([1.0, 1.0, 2.0]), np.array([[2, 0]])).tolist()
    [[0.5, 0.5]]
    """
    worth = np.broadcast_to(worth, (len(slates), np.shape(worth)[-1]))
    _check(worth, slates.shape[1])
    chosen = np.take_along_axis(worth, slates, axis=1)
    # What is left at a position is summed anew: a difference would lose digits where one item has most of the worth.
    left = np.array(worth)
    found = np.empty(chosen.shape)
    for place in range(slates.shape[1]):
        found[:, place] = chosen[:, place] / left.sum(axis=1)
        np.put_along_axis(left, slates[:, place : place + 1], 0.0, axis=1)
    return found


def marginals(worth: Floats, k: int, rng: np.random.Generator | None = None) -> Floats:
    """``P(item at position j)``, shape (k, K): exactly for k <= 3, else over 10,000 slates drawn with ``rng``.

    >>> marginals(np.array([1.0, 1.0, 2.0]), 2).round(6).tolist()
    [[0.25, 0.25, 0.5], [0.333333, 0.333333, 0.333333]]
    """
    _check(worth, k)
    items = len(worth)
    found = np.zeros((k, items))
    if k <= EXACT:
        slates = np.array(list(permutations(range(items), k)))
        p = conditionals(worth, slates).prod(axis=1)
    else:
        # The order of exponential times divided by the worths is a draw of the model.
        times = (rng or np.random.default_rng(0)).exponential(size=(DRAWS, items)) / worth
        slates, p = np.argsort(times, axis=1)[:, :k], np.full(DRAWS, 1 / DRAWS)
    for place in range(k):
        found[place] = np.bincount(slates[:, place], weights=p, minlength=items)
    return found


def _check(worth: Floats, k: int) -> None:
    if not (np.isfinite(worth).all() and (worth > 0).all()):
        raise ValueError("worth: each must be a finite, positive number")
    if not 1 <= k <= worth.shape[-1]:
        raise ValueError(f"slates: {k} positions cannot be filled from {worth.shape[-1]} items")
