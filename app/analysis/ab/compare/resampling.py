"""Permutation tests of a difference, and percentile intervals from the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from itertools import combinations
from math import comb

import numpy as np

from app.analysis.ab.interval import Interval
from app.analysis.ab.statistic import Floats

DRAWS = 2000

Location = Callable[[Floats], Floats]  # from samples in rows to one number each


def permutation_p(control: Floats, treatment: Floats, location: Location) -> float:
    """P(|difference| >= the one that came) over the splits of the pooled values into arms of these sizes.

    All splits if there are at most 2000; else 2000 random ones, (1+b)/(1+2000), which is never 0. It tests that the
    arms have the same distribution, not only the same location.
    Sources: Phipson, Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39; Chung, Romano (2013), Annals of Statistics
    41:484.

    >>> mean = lambda rows: rows.mean(axis=1)
    >>> permutation_p(np.array([1.0, 2, 3, 4, 5]), np.array([3.0, 4, 5, 6, 7]), mean) * 252
    32.0
    """
    pooled = np.concatenate([control, treatment])
    seen = abs(float((location(treatment[None, :]) - location(control[None, :]))[0]))
    # Equal differences may come out unequal in their last bits, and sums of large values in more of them.
    enough = seen - 1e-12 * max(seen, float(np.abs(pooled).max()))
    if comb(len(pooled), len(control)) <= DRAWS:
        found = np.abs(_differences(_all_splits(pooled, len(control)), len(control), location))
        return float((found >= enough).mean())
    shuffled = _generator(control, treatment).permuted(np.tile(pooled, (DRAWS, 1)), axis=1)
    found = np.abs(_differences(shuffled, len(control), location))
    return float((1 + (found >= enough).sum()) / (1 + DRAWS))


def bootstrap_interval(control: Floats, treatment: Floats, location: Location, alpha: float) -> Interval:
    """The quantiles α/2 and 1-α/2 of the difference over 2000 resamples of each arm.

    The seed is a hash of the data: the same data give the same interval.
    Source: Efron, Tibshirani (1993), An Introduction to the Bootstrap, section 13.3.
    """
    rng = _generator(control, treatment)
    first, second = (location(arm[rng.integers(0, len(arm), (DRAWS, len(arm)))]) for arm in (control, treatment))
    low, high = np.quantile(second - first, [alpha / 2.0, 1.0 - alpha / 2.0])
    return Interval(float(low), float(high), 1.0 - alpha)


def _all_splits(pooled: Floats, size: int) -> Floats:
    """Each split as a row: control first."""
    everything = frozenset(range(len(pooled)))
    rows = [[*chosen, *sorted(everything - set(chosen))] for chosen in combinations(range(len(pooled)), size)]
    return np.asarray(pooled[np.array(rows)])


def _differences(rows: Floats, size: int, location: Location) -> Floats:
    return location(rows[:, size:]) - location(rows[:, :size])


def _generator(control: Floats, treatment: Floats) -> np.random.Generator:
    digest = blake2b(control.tobytes() + b"|" + treatment.tobytes(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
