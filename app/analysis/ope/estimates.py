"""All estimates of one target on one log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.analysis.arrays import Floats
from app.analysis.asymptotic import always_valid
from app.analysis.betting import ConfidenceSequence, arm_controls, betting_sequence
from app.analysis.estimate import Estimate, mean_estimate
from app.analysis.log import DecisionLog
from app.analysis.ope.bernstein import bernstein
from app.analysis.ope.bootstrap import bootstrap
from app.analysis.ope.candidate import Target
from app.analysis.ope.clipped import clipped
from app.analysis.ope.dm import dm
from app.analysis.ope.dr import dr, dr_scores
from app.analysis.ope.ips import ips
from app.analysis.ope.options import OffPolicyOptions
from app.analysis.ope.replay import replay
from app.analysis.ope.snips import snips
from app.analysis.ope.switch_dr import switch_auto, switch_dr
from app.analysis.ridge import Predictions, design, fit_all, fit_forward


@dataclass(frozen=True)
class Estimates:
    """The estimates by name, the sequence, the lift over the logged policy, and the logged policy's own mean."""

    named: Mapping[str, Estimate]
    sequence: ConfidenceSequence | None
    lift: Estimate
    logged: Estimate
    default: str


def estimate(log: DecisionLog, target: Target, options: OffPolicyOptions) -> Estimates:
    """Every estimate that log and options allow; no reward may be missing.

    ``dm``, ``dr`` and ``switch_dr`` need the target's probabilities of all arms. The default is ``dr``, else ``snips``.
    """
    w, r, unit, level = target.weights(log), log.reward, log.unit, options.level
    named = {"ips": ips(w, r, unit, level), "snips": snips(w, r, unit, level)}
    predictions = None
    if target.pi is not None:
        x = design(log, options.features)
        predictions = fit_forward(log, target.pi, x, options.ridge, options.blocks)
        named["dm"] = dm(fit_all(log, target.pi, x, options.ridge))
        named["dr"] = dr(w, r, predictions, unit, level)
        named |= _switched(log, w, predictions, options)
    named |= _asked(log, target, w, options)
    return Estimates(
        named,
        _sequence(log, target, w, predictions, options),
        lift(w, r, predictions, log, level),
        mean_estimate(r, unit, level),
        "snips" if predictions is None else "dr",
    )


def lift(w: Floats, reward: Floats, predictions: Predictions | None, log: DecisionLog, level: float) -> Estimate:
    """What the candidate gains over the logged policy, ``mean(s_t - r_t)``, with its own, paired standard error.

    ``s`` are the scores of ``dr``, or without predictions those of ``snips`` made linear,
    ``v + w (r - v) / mean w``.
    """
    if not len(w):
        return Estimate(None)
    if predictions is not None:
        scores = dr_scores(w, reward, predictions)
    elif w.sum() > 0:
        value = float((w * reward).sum() / w.sum())
        scores = value + w * (reward - value) / w.mean()
    else:
        return Estimate(None)
    return mean_estimate(scores - reward, log.unit, level)


def _switched(log: DecisionLog, w: Floats, predictions: Predictions, options: OffPolicyOptions) -> dict[str, Estimate]:
    if not isinstance(options.tau, str):
        return {"switch_dr": switch_dr(w, log.reward, predictions, options.tau, log.unit, options.level)}
    if log.lo is None or log.hi is None or not len(w):
        return {}
    return {"switch_dr": switch_auto(w, log.reward, predictions, log.hi - log.lo, log.unit, options.level)}


def _asked(log: DecisionLog, target: Target, w: Floats, options: OffPolicyOptions) -> dict[str, Estimate]:
    """The estimates that are only made where options ask for them."""
    bounds = None if log.lo is None or log.hi is None else (log.lo, log.hi)
    named = {}
    if options.clip is not None:
        named["clipped"] = clipped(w, log.reward, options.clip, bounds, log.unit, options.level)
    if options.replay:
        if target.pi is None:
            raise ValueError("replay: it needs the candidate's probabilities of all arms")
        named["replay"] = replay(log, target.pi, np.random.default_rng(options.seed), options.bound, options.level)
    if not options.adaptive:
        scores, rng = w * log.reward, np.random.default_rng(options.seed)
        named["bootstrap"] = bootstrap(scores, rng, log.unit, options.level)
        # Rows of one unit depend on each other, which this bound does not allow.
        if options.floor is not None and bounds is not None and log.unit is None and target.pi is not None and len(w):
            largest = float(target.pi.max()) / options.floor
            named["bernstein"] = bernstein(w, log.reward, *bounds, largest=largest, level=options.level)
    return named


def _sequence(
    log: DecisionLog, target: Target, w: Floats, predictions: Predictions | None, options: OffPolicyOptions
) -> ConfidenceSequence | None:
    """By betting where the reward is bounded, else the asymptotic one of the scores."""
    if log.lo is not None:
        controls = None
        if log.pmf is not None and target.pi is not None and options.k > 0:
            controls = arm_controls(target.pi, log.pmf, log.chosen, w, options.k)
        return betting_sequence(w, log.reward, log.lo, log.hi, options.level, controls=controls, k=options.k)
    scores = w * log.reward if predictions is None else dr_scores(w, log.reward, predictions)
    found = always_valid(scores, options.level, options.horizon)
    return None if found is None else ConfidenceSequence(found.low, found.high, "asymptotic")
