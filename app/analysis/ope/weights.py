"""Diagnostics of importance weights: what the log is worth for a candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.analysis.arrays import Floats
from app.analysis.log import DecisionLog
from app.analysis.ope.candidate import Target
from app.analysis.ope.tail import hill, khat


@dataclass(frozen=True)
class Weights:
    """Diagnostics; None where there is nothing to tell from.

    Parameters
    ----------
    mean, max, max_share
        Of the weights; the share is ``max / sum``.
    ess
        ``(sum w)^2 / sum w^2`` (Kish 1965): as many decisions of the candidate itself would tell as much.
    design_ess
        ``n^2 / sum_t sum_a pi^2 / p``: the same expected under the log's probabilities, before arms are drawn. It sees
        rare arms that the log has not drawn yet. Needs the pmf.
    event_ess
        ``(sum w r)^2 / sum (w r)^2``: the number of rewards that the estimate rests on.
    unsupported
        The share of the candidate's decisions on arms with p = 0, or, without a pmf, on arms that were never logged.
    p_min, zero_share
        The least propensity, and the share of weights that are 0.
    hill, khat
        See :mod:`app.analysis.ope.tail`.
    """

    mean: float | None
    max: float | None
    max_share: float | None
    ess: float
    design_ess: float | None
    event_ess: float
    unsupported: float | None
    p_min: float | None
    zero_share: float | None
    hill: float | None
    khat: float | None


def diagnose(log: DecisionLog, target: Target) -> Weights:
    """The diagnostics of a target on a log whose rewards are all there."""
    w = target.weights(log)
    if not len(w):
        return Weights(None, None, None, 0.0, None, 0.0, None, None, None, None, None)
    total, largest = float(w.sum()), float(w.max())
    return Weights(
        mean=float(w.mean()),
        max=largest,
        max_share=largest / total if total else None,
        ess=effective(w),
        design_ess=_design(log, target),
        event_ess=effective(w * log.reward),
        unsupported=_unsupported(log, target),
        p_min=float(log.propensity.min()),
        zero_share=float((w == 0).mean()),
        hill=hill(w),
        khat=khat(w),
    )


def effective(w: Floats) -> float:
    """``(sum w)^2 / sum w^2``, 0 if all are 0.

    >>> effective(np.ones(5)), effective(np.array([1.0, 0.0])), effective(np.zeros(2))
    (5.0, 1.0, 0.0)
    """
    square = float(np.dot(w, w))
    return float(w.sum()) ** 2 / square if square else 0.0


def _design(log: DecisionLog, target: Target) -> float | None:
    if log.pmf is None or target.pi is None:
        return None
    # Arms with p = 0 are told by `unsupported`; here they would hide what the others are worth.
    spread = np.divide(target.pi**2, log.pmf, out=np.zeros_like(log.pmf), where=log.pmf > 0)
    total = float(spread.sum())
    return len(log) ** 2 / total if total else 0.0


def _unsupported(log: DecisionLog, target: Target) -> float | None:
    if target.pi is None:
        return None
    if log.pmf is None:
        drawn = np.bincount(log.chosen, minlength=len(log.arms)) > 0
        lost = target.pi[:, ~drawn].sum(axis=1)
    else:
        lost = np.where(log.pmf > 0, 0.0, target.pi).sum(axis=1)
    return float(lost.mean() + (0.0 if target.outside is None else target.outside.mean()))
