"""Persons per arm for an interval of a given width, as Bayesian plans ask for."""

from __future__ import annotations

from app.analysis.ab.checks import between, positive
from app.analysis.ab.normal import upper
from app.analysis.ab.plan.sample_size import SampleSize


def precision_sample_size(variance: float, half_width: float, credibility: float = 0.95) -> SampleSize:
    """n = 2v(z_{1-(1-cred)/2}/h)²: the interval of the difference is then ± ``half_width``.

    ``variance`` is p(1-p) of a rate or σ² of a mean, ``half_width`` in the unit of the difference. No prior enters:
    at these sizes the posterior is the likelihood's normal.
    Source: Adcock (1997), Sample size determination: a review, The Statistician 46:261.

    >>> precision_sample_size(0.1 * 0.9, 0.005).per_variant
    27659
    """
    z = upper(0.5 * (1.0 - between("credibility", credibility)))
    return SampleSize.of(2.0 * positive("variance", variance) * (z / positive("half_width", half_width)) ** 2)
