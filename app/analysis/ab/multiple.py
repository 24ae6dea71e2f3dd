"""Corrections for several tests: Benjamini-Hochberg and Holm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.analysis.ab.answer import PValue
from app.analysis.ab.checks import ParameterError, between, one_of, within
from app.analysis.ab.statistic import Floats


@dataclass(frozen=True)
class Metric:
    """A test that was made: its name and p-value."""

    label: str
    p_value: float


@dataclass(frozen=True)
class CorrectedMetric:
    """A test with its corrected p-value."""

    label: str
    p_value: float
    adjusted_p_value: PValue
    rejected: bool


@dataclass(frozen=True)
class CorrectionResult:
    """``critical_value`` is the largest rejected p, or 0; ``results`` are in the order of the input."""

    method: str
    level: float
    num_tests: int
    num_rejected: int
    threshold_rank: int
    critical_value: PValue
    results: tuple[CorrectedMetric, ...]


@dataclass(frozen=True)
class MultipleTesting:
    """``bh`` keeps the expected share of false among the rejected below ``level``, ``holm`` the chance of any.

    Sources: Benjamini, Hochberg (1995), JRSS B 57:289; Holm (1979), Scandinavian Journal of Statistics 6:65.

    >>> found = MultipleTesting([Metric(name, p) for name, p in zip("abcd", [0.01, 0.04, 0.03, 0.5])], "holm").result()
    >>> [each.adjusted_p_value for each in found.results], found.num_rejected
    ([0.04, 0.09, 0.09, 0.5], 1)
    """

    metrics: Sequence[Metric]
    method: str = "bh"
    level: float = 0.05

    def __post_init__(self) -> None:
        one_of("method", self.method, ("bh", "holm"))
        between("level", self.level)
        if not self.metrics:
            raise ParameterError("metrics", "a list of at least one", [])
        for metric in self.metrics:
            within("p_value", metric.p_value)

    def result(self) -> CorrectionResult:
        """The corrected p-values and what they reject."""
        p = np.array([metric.p_value for metric in self.metrics])
        adjusted = benjamini_hochberg(p) if self.method == "bh" else holm(p)
        rejected = adjusted <= self.level * (1.0 + 1e-12)  # p·m/k may exceed the level by rounding only
        count = int(rejected.sum())
        rows = zip(self.metrics, adjusted.tolist(), rejected.tolist(), strict=True)
        return CorrectionResult(
            method=self.method,
            level=self.level,
            num_tests=len(p),
            num_rejected=count,
            threshold_rank=count,
            critical_value=float(p[rejected].max()) if count else 0.0,
            results=tuple(CorrectedMetric(metric.label, metric.p_value, q, no) for metric, q, no in rows),
        )


def benjamini_hochberg(p: Floats) -> Floats:
    """min over j >= i of m·p₍ⱼ₎/j, at most 1, in the order of the input."""
    order = np.argsort(p, kind="stable")
    m = len(p)
    raw = p[order] * m / np.arange(1, m + 1)
    return _back(np.minimum.accumulate(raw[::-1])[::-1], order)


def holm(p: Floats) -> Floats:
    """max over j <= i of (m-j+1)·p₍ⱼ₎, at most 1, in the order of the input."""
    order = np.argsort(p, kind="stable")
    return _back(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), order)


def _back(values: Floats, order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    found = np.empty_like(values)
    found[order] = np.minimum(values, 1.0)
    return found
