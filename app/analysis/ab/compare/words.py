"""Verdicts in words. Programs read the codes; these texts may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.analysis.ab.compare.result import ComparisonResult

VERDICTS = {
    "uplift": "Treatment is higher",
    "decline": "Treatment is lower",
    "no_difference": "No difference shown",
    "equivalent": "Equivalent within the margin",
    "not_equivalent": "Equivalence not shown",
    "degenerate": "No variation to test",
}
_UNITS = {"percentage_points": " percentage points", "proportion": " (share)", "per_exposure": " per unit of exposure"}


def verdict(code: str) -> str:
    """The text of a verdict's code."""
    return VERDICTS[code]


def p_text(p: float) -> str:
    """A p-value as text.

    >>> p_text(0.04), p_text(1e-9)
    ('p = 0.0400', 'p < 0.0001')
    """
    return f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"


def interpretation(result: ComparisonResult) -> str:
    """Effect, interval and p-value in sentences, with a warning where test and interval disagree."""
    if result.verdict_code == "degenerate":
        return "The values show no variation, so no test can tell the arms apart."
    interval = f"{100 * result.ci_level:g} % interval {result.ci_lower:.4g} to {result.ci_upper:.4g}"
    effect = f"{result.observed_effect:+.4g}{_UNITS.get(result.unit, '')}"
    text = f"{verdict(result.verdict_code)}: the effect is {effect}, {interval} ({p_text(result.p_value)})."
    if result.verdict_code == "no_difference":
        text += " This doesn't show that the arms are alike."
    if result.ci_disagrees:
        text += " The interval comes from another method and decides otherwise; the test decides."
    return text
