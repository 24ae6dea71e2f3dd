"""Effects estimated within strata and averaged: post-stratification."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from app.analysis.ab.answer import PValue, Rounded4, Rounded6
from app.analysis.ab.checks import ParameterError, between
from app.analysis.ab.interval import around
from app.analysis.ab.normal import two_sided, upper
from app.analysis.ab.statistic import Proportion, SampleMean

MAX_STRATA = 50

Cell = Proportion | SampleMean


@dataclass(frozen=True)
class Stratum:
    """One stratum's control and treatment; None where it has no persons."""

    name: str
    control: Cell | None
    treatment: Cell | None

    @property
    def usable(self) -> bool:
        """Whether both arms have two persons or more."""
        return all(cell is not None and cell.n >= 2 for cell in (self.control, self.treatment))


@dataclass(frozen=True)
class StratumEffect:
    """What one stratum shows; no effect if it couldn't be used."""

    stratum: str
    users: int
    control_users: int
    treatment_users: int
    effect: Rounded6 | None


@dataclass(frozen=True)
class StratifiedResult:
    """The average effect; ``variance_reduction_pct`` is against the same persons without strata."""

    effect: Rounded6
    standard_error: Rounded6
    test_statistic: Rounded6
    p_value: PValue
    ci_lower: Rounded6
    ci_upper: Rounded6
    ci_level: Rounded6
    is_significant: bool
    variance_reduction_pct: Rounded4 | None
    num_strata: int
    strata: tuple[StratumEffect, ...]


@dataclass(frozen=True)
class StratifiedTest:
    """Δ = Σ(Nₛ/N)Δₛ, variance Σ(Nₛ/N)²Vₛ, over strata with two persons or more in both arms; z, two-sided.

    Source: Miratrix, Sekhon, Yu (2013), Adjusting treatment effect estimates by post-stratification, JRSS B 75:369.

    >>> first = Stratum("a", Proportion(30, 500), Proportion(45, 510))
    >>> second = Stratum("b", Proportion(80, 400), Proportion(95, 390))
    >>> round(StratifiedTest((first, second)).result().effect, 10)
    0.0349741914
    """

    strata: tuple[Stratum, ...]
    alpha: float = 0.05

    def __post_init__(self) -> None:
        between("alpha", self.alpha)
        if len(self.strata) > MAX_STRATA or not any(stratum.usable for stratum in self.strata):
            expected = f"1 to {MAX_STRATA}, one at least with 2 persons in both arms"
            raise ParameterError("strata", expected, len(self.strata))

    def result(self) -> StratifiedResult:
        """The test."""
        used = [s for s in self.strata if s.usable]
        sizes = [_users(s.control) + _users(s.treatment) for s in used]
        shares = [size / sum(sizes) for size in sizes]
        effect = sum(share * _effect(s) for share, s in zip(shares, used, strict=True))
        variance = sum(share**2 * _variance(s) for share, s in zip(shares, used, strict=True))
        error = sqrt(variance)
        z = effect / error if error else 0.0
        p = two_sided(z)
        interval = around(effect, upper(self.alpha / 2.0) * error, 1.0 - self.alpha)
        whole = _variance(_merged(used))
        return StratifiedResult(
            effect=effect,
            standard_error=error,
            test_statistic=z,
            p_value=p,
            ci_lower=interval.lower,
            ci_upper=interval.upper,
            ci_level=interval.level,
            is_significant=p < self.alpha,
            variance_reduction_pct=100.0 * (1.0 - variance / whole) if whole else None,
            num_strata=len(used),
            strata=tuple(_shown(s) for s in self.strata),
        )


def _users(cell: Cell | None) -> int:
    return cell.n if cell else 0


def _effect(stratum: Stratum) -> float:
    assert stratum.control is not None
    assert stratum.treatment is not None
    return stratum.treatment.estimate - stratum.control.estimate


def _variance(stratum: Stratum) -> float:
    assert stratum.control is not None
    assert stratum.treatment is not None
    return stratum.control.error_variance + stratum.treatment.error_variance


def _shown(stratum: Stratum) -> StratumEffect:
    control, treatment = _users(stratum.control), _users(stratum.treatment)
    effect = _effect(stratum) if stratum.usable else None
    return StratumEffect(stratum.name, control + treatment, control, treatment, effect)


def _merged(strata: list[Stratum]) -> Stratum:
    """All persons as one stratum."""
    return Stratum("", _merge([s.control for s in strata]), _merge([s.treatment for s in strata]))


def _merge(cells: list[Cell | None]) -> Cell:
    n = sum(_users(cell) for cell in cells)
    proportions = [cell for cell in cells if isinstance(cell, Proportion)]
    if proportions:
        return Proportion(sum(cell.successes for cell in proportions), n)
    means = [cell for cell in cells if isinstance(cell, SampleMean)]
    mean = sum(cell.n * cell.mean for cell in means) / n
    squares = sum((cell.n - 1) * cell.sd**2 + cell.n * (cell.mean - mean) ** 2 for cell in means)
    return SampleMean(mean, sqrt(squares / (n - 1)), n)
