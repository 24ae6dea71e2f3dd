"""One way in for all tests of results, by the names and parameters of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.analysis.ab.checks import ParameterError, one_of
from app.analysis.ab.compare.barnard import BarnardTest
from app.analysis.ab.compare.boschloo import BoschlooTest
from app.analysis.ab.compare.counts import CountsTest
from app.analysis.ab.compare.equivalence import EquivalenceTest
from app.analysis.ab.compare.fisher import FisherTest
from app.analysis.ab.compare.mann_whitney import MannWhitneyTest
from app.analysis.ab.compare.permutation import PermutationTest, QuantileTest
from app.analysis.ab.compare.proportions import ProportionsTest
from app.analysis.ab.compare.result import ComparisonResult
from app.analysis.ab.compare.welch import WelchTest
from app.analysis.ab.compare.yuen import YuenTest
from app.analysis.ab.statistic import EventCount, Proportion, SampleMean

_PROPORTIONS: dict[str, Callable[..., Any]] = {
    "binary": ProportionsTest,
    "fisher_exact": FisherTest,
    "barnard_exact": BarnardTest,
    "boschloo_exact": BoschlooTest,
}
_RANKED: dict[str, Callable[..., Any]] = {
    "mann_whitney": MannWhitneyTest,
    "bootstrap": PermutationTest,
    "quantile": QuantileTest,
    "trimmed_t": YuenTest,
}
# Which of the API's objects a metric type needs.
OBJECTS = {
    **dict.fromkeys(_PROPORTIONS, "binary"),
    **dict.fromkeys(("continuous", "equivalence"), "continuous"),
    **dict.fromkeys(_RANKED, "ranked"),
    "count": "count",
}


def analyse(metric_type: str, alpha: float = 0.05, **given: Any) -> ComparisonResult:
    """Run the test of a metric type on the values of the object that it needs; proportions come out in points.

    Values that the test doesn't take (a trim for a quantile) are ignored; a missing one raises
    :class:`app.analysis.ab.checks.ParameterError`.

    >>> found = analyse("binary", control_conversions=200, control_users=2000, treatment_conversions=250,
    ...     treatment_users=2000)
    >>> round(found.observed_effect, 9), found.unit
    (2.5, 'percentage_points')
    """
    kind = OBJECTS[one_of("metric_type", metric_type, OBJECTS)]
    return _KINDS[kind](metric_type, alpha, given).reported()


def _need(given: dict[str, Any], name: str) -> Any:
    if given.get(name) is None:
        raise ParameterError(name, "given", None)
    return given[name]


def _arms(given: dict[str, Any], make: Callable[..., Any], *names: str) -> list[Any]:
    return [make(*(_need(given, f"{arm}_{name}") for name in names)) for arm in ("control", "treatment")]


def _binary(metric_type: str, alpha: float, given: dict[str, Any]) -> ComparisonResult:
    found: ComparisonResult = _PROPORTIONS[metric_type](
        *_arms(given, Proportion, "conversions", "users"), alpha
    ).result()
    return found


def _continuous(metric_type: str, alpha: float, given: dict[str, Any]) -> ComparisonResult:
    control, treatment = _arms(given, SampleMean, "mean", "std", "n")
    if metric_type == "continuous":
        return WelchTest(control, treatment, alpha).result()
    return EquivalenceTest(control, treatment, _need(given, "equivalence_margin"), alpha).result()


def _ranked(metric_type: str, alpha: float, given: dict[str, Any]) -> ComparisonResult:
    values = _arms(given, tuple, "values")
    options = {"quantile": ("quantile",), "trimmed_t": ("trim",)}.get(metric_type, ())
    found: ComparisonResult = _RANKED[metric_type](
        *values, alpha, **{name: given[name] for name in options if given.get(name) is not None}
    ).result()
    return found


def _count(metric_type: str, alpha: float, given: dict[str, Any]) -> ComparisonResult:
    control, treatment = _arms(given, EventCount, "events", "exposure")
    return CountsTest(control, treatment, alpha).result()


_KINDS = {"binary": _binary, "continuous": _continuous, "ranked": _ranked, "count": _count}
