"""Persons per arm to compare two proportions by Fisher's exact test."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.special import gammaln

from app.analysis.ab.checks import between, whole
from app.analysis.ab.plan.proportions import proportions_sample_size
from app.analysis.ab.plan.sample_size import SampleSize, bonferroni
from app.analysis.ab.statistic import Floats

LARGEST_EXACT = 500  # plans of the z test up to this size are searched by exact power


def fisher_sample_size(
    baseline: float, mde_pct: float, alpha: float = 0.05, power: float = 0.8, arms: int = 2
) -> SampleSize:
    """Persons per arm: the first number, from the z test's on, whose exact power reaches ``power``.

    Where the z test needs over 500, n/4·(1+√(1+4/(nδ)))² stands for the search.
    Sources: Bennett, Hsu (1960), Biometrika 47:393; Casagrande, Pike, Smith (1978), Biometrics 34:483.

    >>> fisher_sample_size(0.5, 40.0).per_variant
    102
    """
    start = proportions_sample_size(baseline, mde_pct, alpha, power, arms)
    delta = baseline * mde_pct / 100.0
    if start.per_variant > LARGEST_EXACT:
        n = start.per_variant
        return SampleSize.of(0.25 * n * (1.0 + sqrt(1.0 + 4.0 / (n * delta))) ** 2)
    level = bonferroni(alpha, arms)
    n = start.per_variant
    while fisher_power(baseline, baseline + delta, n, level) < power:
        n += 1
    return SampleSize.of(n)


def fisher_power(p1: float, p2: float, n: int, alpha: float = 0.05) -> float:
    """The exact probability that Fisher's two-sided p is below ``alpha``, with ``n`` persons per arm.

    Arms of one size make the conditional law symmetric, so that the two-sided p is twice the smaller tail. By each
    total of conversions, the rejected tables are then those up to a critical one and their mirror images.

    >>> round(fisher_power(0.5, 0.7, 102), 10)
    0.8061479102
    """
    between("p1", p1)
    between("p2", p2)
    whole("n", n, 1, 5000)
    k = np.arange(n + 1)
    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    totals = np.arange(2 * n + 1)
    log_total = gammaln(2 * n + 1) - gammaln(totals + 1) - gammaln(2 * n - totals + 1)
    # Row: conversions x of control; column: the total s. Tables with x < s/2 are the low side.
    x, s = k[:, None], totals[None, :]
    rest = s - x
    possible = (rest >= 0) & (rest <= n)
    log_rest = log_choose[np.clip(rest, 0, n)]
    tail = np.cumsum(np.where(possible, np.exp(log_choose[:, None] + log_rest - log_total), 0.0), axis=0)
    low = possible & (2 * x < s) & (2.0 * tail < alpha)
    b1, b2 = _binomial(log_choose, k, p1), _binomial(log_choose, k, p2)
    other = np.clip(rest, 0, n)
    return float(np.sum(low * (b1[:, None] * b2[other] + b2[:, None] * b1[other])))


def _binomial(log_choose: Floats, k: np.ndarray[tuple[int], np.dtype[np.int64]], p: float) -> Floats:
    return np.asarray(np.exp(log_choose + k * np.log(p) + (k[-1] - k) * np.log1p(-p)))
