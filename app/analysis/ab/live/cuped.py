"""Effects adjusted for covariates from before the experiment: CUPED as analysis of covariance, from sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from app.analysis.ab.checks import ParameterError, between, whole
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.compare.welch import t_result
from app.analysis.ab.statistic import Floats

MAX_COVARIATES = 10


@dataclass(frozen=True, eq=False)
class CovariateSums:
    """An arm's persons with covariates: means, and sums of squares and products about these means.

    ``x_means`` has one entry per covariate, ``xy`` the products with the outcome, ``xx`` those among covariates.
    """

    n: int
    y_mean: float
    x_means: Floats
    yy: float
    xy: Floats
    xx: Floats

    def __post_init__(self) -> None:
        whole("n", self.n, 2)
        k = len(self.x_means)
        if not 1 <= k <= MAX_COVARIATES or self.xy.shape != (k,) or self.xx.shape != (k, k):
            raise ParameterError("covariates", f"1 to {MAX_COVARIATES}, with sums of that shape", self.xx.shape)

    @classmethod
    def of(cls, y: Sequence[float], x: Sequence[Sequence[float]] | Sequence[float]) -> CovariateSums:
        """The sums of outcomes and covariates, one row (or number) of these per person."""
        outcomes = np.asarray(y, dtype=np.float64)
        rows = np.asarray(x, dtype=np.float64)
        rows = rows[:, None] if rows.ndim == 1 else rows
        if len(rows) != len(outcomes):
            raise ParameterError("x", f"{len(outcomes)} rows, one for each outcome", len(rows))
        dy, dx = outcomes - outcomes.mean(), rows - rows.mean(axis=0)
        return cls(len(outcomes), float(outcomes.mean()), rows.mean(axis=0), float(dy @ dy), dx.T @ dy, dx.T @ dx)

    @classmethod
    def from_sums(cls, n: int, y: float, x: Floats, yy: float, xy: Floats, xx: Floats) -> CovariateSums:
        """From plain sums of y, x, y², xy and xx (about any fixed origin that the means are then relative to)."""
        whole("n", n, 2)
        return cls(n, y / n, x / n, max(0.0, yy - y * y / n), xy - x * y / n, xx - np.outer(x, x) / n)


@dataclass(frozen=True)
class AdjustedArm:
    """An arm's mean at the overall mean of the covariates, and what is left of its standard deviation."""

    n: int
    unadjusted_mean: float
    adjusted_mean: float
    adjusted_std: float


@dataclass(frozen=True)
class CupedModel:
    """One slope per covariate for all arms, as from least squares with a dummy for each arm. Control comes first.

    θ = S⁻¹s from pooled sums within arms; effect Δȳ-θᵀΔx̄; variance SSE/df·(1/n_c+1/n_t+dᵀS⁻¹d) with d = Δx̄ and
    df = N - arms - rank(S). Covariates must come from before exposure.
    Sources: Deng, Xu, Kohavi, Walker (2013), WSDM; Cochran (1957), Analysis of covariance, Biometrics 13:261.

    >>> control = CovariateSums.of([10, 12, 9, 14, 11, 13], [8, 11, 7, 13, 10, 11])
    >>> treatment = CovariateSums.of([13, 15, 12, 16, 14], [9, 12, 8, 14, 11])
    >>> found = CupedModel((control, treatment)).result(1)
    >>> round(found.observed_effect, 9), round(found.p_value, 14)
    (1.901709402, 6.439130669e-05)
    """

    arms: tuple[CovariateSums, ...]
    alpha: float = 0.05

    def __post_init__(self) -> None:
        between("alpha", self.alpha)
        if len(self.arms) < 2 or len({len(arm.x_means) for arm in self.arms}) != 1:
            raise ParameterError("arms", "2 or more, all with the same covariates", len(self.arms))
        if self.df < 1:
            raise ParameterError("arms", "so many persons that degrees of freedom are left", self.df)

    @cached_property
    def _within(self) -> tuple[Floats, Floats, float]:
        """Sums within arms, pooled: xx, xy, yy."""
        arms = self.arms
        return sum(arm.xx for arm in arms), sum(arm.xy for arm in arms), sum(arm.yy for arm in arms)  # type: ignore[return-value]

    @cached_property
    def _inverse(self) -> tuple[Floats, int]:
        """A generalised inverse of S and its rank, by units of each covariate so that scales don't decide."""
        xx = self._within[0]
        scale = np.sqrt(np.diag(xx))
        # A covariate without variance within arms has nothing to explain.
        inverse_scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)
        correlation = xx * np.outer(inverse_scale, inverse_scale)
        inverse = np.linalg.pinv(correlation, rcond=1e-10, hermitian=True)
        rank = int(np.linalg.matrix_rank(correlation, tol=1e-10 * max(1.0, len(scale)), hermitian=True))
        return np.asarray(inverse * np.outer(inverse_scale, inverse_scale)), rank

    @property
    def theta(self) -> Floats:
        """The slopes."""
        return np.asarray(self._inverse[0] @ self._within[1])

    @property
    def df(self) -> int:
        """Degrees of freedom."""
        return sum(arm.n for arm in self.arms) - len(self.arms) - self._inverse[1]

    @property
    def residual_variance(self) -> float:
        """SSE/df."""
        return max(0.0, self._within[2] - float(self.theta @ self._within[1])) / self.df

    @property
    def variance_reduction_pct(self) -> float | None:
        """By how much the residual variance is below the variance within arms, in percent; None without variance."""
        raw = self._within[2] / (self.df + self._inverse[1])
        return 100.0 * (1.0 - self.residual_variance / raw) if raw else None

    def error(self, treatment: int) -> float:
        """The standard error of a treatment's effect."""
        first, second = self.arms[0], self.arms[treatment]
        d = second.x_means - first.x_means
        return sqrt(self.residual_variance * (1.0 / first.n + 1.0 / second.n + float(d @ self._inverse[0] @ d)))

    def adjusted(self, index: int) -> AdjustedArm:
        """One arm."""
        arm, total, theta = self.arms[index], sum(each.n for each in self.arms), self.theta
        centre = sum(each.n * each.x_means for each in self.arms) / total
        left = max(0.0, arm.yy - 2.0 * float(theta @ arm.xy) + float(theta @ arm.xx @ theta))
        mean = arm.y_mean - float(theta @ (arm.x_means - centre))
        return AdjustedArm(arm.n, arm.y_mean, mean, sqrt(left / (arm.n - 1)))

    def result(self, treatment: int) -> ComparisonResult:
        """The comparison of one treatment with control."""
        whole("treatment", treatment, 1, len(self.arms) - 1)
        first, second = self.adjusted(0), self.adjusted(treatment)
        return t_result(
            "continuous",
            second.adjusted_mean - first.adjusted_mean,
            self.error(treatment),
            float(self.df),
            self.alpha,
            control=first.adjusted_mean,
            method="ancova",
        )
