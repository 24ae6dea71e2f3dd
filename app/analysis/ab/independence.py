"""Pearson's chi-square test and the G test of independence in a table of counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
from scipy.special import chdtrc, xlogy

from app.analysis.ab.answer import PValue, Rounded4
from app.analysis.ab.checks import ParameterError, between, one_of
from app.analysis.ab.compare.words import p_text
from app.analysis.ab.statistic import Floats

MAX_TOTAL = 5_000_000
_LOW = 5.0  # expected counts below this make the chi-square law a poor approximation (Cochran 1954)


@dataclass(frozen=True)
class IndependenceResult:
    """Statistic, p-value and Cramér's V; ``chi_square`` is G where that was asked for."""

    test_type: str
    chi_square: Rounded4
    degrees_of_freedom: int
    p_value: PValue
    is_significant: bool
    cramers_v: Rounded4
    n_total: int
    num_rows: int
    num_cols: int
    min_expected_count: Rounded4
    low_expected_warning: bool

    also: ClassVar[tuple[str, ...]] = ("verdict", "verdict_code", "interpretation")

    @property
    def verdict_code(self) -> str:
        """``association`` or ``no_association``."""
        return "association" if self.is_significant else "no_association"

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        return "Rows and columns are associated" if self.is_significant else "No association shown"

    @property
    def interpretation(self) -> str:
        """The result in sentences."""
        text = f"{self.verdict} ({p_text(self.p_value)}; Cramér's V {self.cramers_v:.3f})."
        if self.low_expected_warning:
            text += " Some expected counts are below 5, so that p is approximate."
        return text


@dataclass(frozen=True)
class IndependenceTest:
    """χ² = Σ(O-E)²/E, or G = 2ΣO ln(O/E), with (r-1)(c-1) degrees of freedom; V = √(stat/(N·min(r-1,c-1))).

    ``table`` is 2 to 50 rows of 2 to 50 counts, with no empty row or column and at most 5,000,000 in all.
    Sources: Pearson (1900), Philosophical Magazine 50:157; Sokal, Rohlf (1995), Biometry, chapter 17; Cramér (1946),
    Mathematical Methods of Statistics, chapter 21.

    >>> found = IndependenceTest([[10, 20, 30], [20, 20, 20]]).result()
    >>> round(found.chi_square, 9), round(found.p_value, 10), round(found.cramers_v, 10)
    (5.333333333, 0.0694834512, 0.2108185107)
    """

    table: Sequence[Sequence[int]]
    alpha: float = 0.05
    test_type: str = "chi_square"

    def __post_init__(self) -> None:
        between("alpha", self.alpha)
        one_of("test_type", self.test_type, ("chi_square", "g_test"))
        sizes = {len(row) for row in self.table}
        if not 2 <= len(self.table) <= 50 or len(sizes) != 1 or not 2 <= min(sizes) <= 50:
            raise ParameterError("table", "2 to 50 rows of 2 to 50 counts each", f"rows of {sorted(sizes)}")
        counts = np.asarray(self.table, dtype=np.float64)
        if not np.isfinite(counts).all() or (counts < 0).any() or (counts != np.floor(counts)).any():
            raise ParameterError("table", "whole numbers from 0", self.table)
        if not counts.sum(axis=0).all() or not counts.sum(axis=1).all():
            raise ParameterError("table", "without an empty row or column", self.table)
        if counts.sum() > MAX_TOTAL:
            raise ParameterError("table", f"at most {MAX_TOTAL:,} in all", int(counts.sum()))

    def result(self) -> IndependenceResult:
        """The test."""
        observed: Floats = np.asarray(self.table, dtype=np.float64)
        total = float(observed.sum())
        expected = observed.sum(axis=1, keepdims=True) * observed.sum(axis=0, keepdims=True) / total
        if self.test_type == "chi_square":
            statistic = float(((observed - expected) ** 2 / expected).sum())
        else:
            statistic = max(0.0, 2.0 * float(xlogy(observed, observed / expected).sum()))
        rows, columns = observed.shape
        df = (rows - 1) * (columns - 1)
        p = float(chdtrc(df, statistic))
        return IndependenceResult(
            test_type=self.test_type,
            chi_square=statistic,
            degrees_of_freedom=df,
            p_value=p,
            is_significant=p < self.alpha,
            cramers_v=sqrt(statistic / (total * min(rows - 1, columns - 1))),
            n_total=int(total),
            num_rows=rows,
            num_cols=columns,
            min_expected_count=float(expected.min()),
            low_expected_warning=bool(expected.min() < _LOW),
        )
