"""An off-policy evaluation, whole: estimates, diagnostics and the verdict on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.analysis.betting import ConfidenceSequence
from app.analysis.estimate import Estimate
from app.analysis.log import DecisionLog
from app.analysis.missing import completed
from app.analysis.ope.candidate import Target
from app.analysis.ope.estimates import Estimates, estimate
from app.analysis.ope.monte_carlo import monte_carlo_se
from app.analysis.ope.options import OffPolicyOptions
from app.analysis.ope.verdict import Circumstances, Reason, judge
from app.analysis.ope.weights import Weights, diagnose

# Beyond as many arms as a pmf may have, if most decisions have one of their own, actions are continuous.
MAX_ARMS = 1000


@dataclass(frozen=True)
class Pmf:
    """How the candidate's probabilities were found, the error that this adds, and the rows of the log without a pmf."""

    source: str
    draws: int | None = None
    mc_se: float | None = None
    mc_share: float | None = None
    rows_without: int = 0


@dataclass(frozen=True)
class Origin:
    """What reading the log left out or met.

    ``excluded`` counts rows by reason, ``defaults`` default rewards by arm, ``pmf_missing`` rows without a usable pmf.
    ``coarse``: arms are coarser than what propensities are of. ``audit_failed``: an audit disagrees.
    """

    excluded: Mapping[str, int] = field(default_factory=dict)
    defaults: Mapping[str, int] = field(default_factory=dict)
    coarse: bool = False
    audit_failed: bool = False
    pmf_missing: int = 0


@dataclass(frozen=True)
class OffPolicyResult:
    """The answer: ``estimates`` and ``lift`` are None where it is refused, ``default`` names the first choice."""

    status: str
    n: int
    excluded: Mapping[str, int]
    defaults: Mapping[str, int]
    weights: Weights
    pmf: Pmf
    estimates: Mapping[str, Estimate] | None
    sequence: ConfidenceSequence | None
    lift: Estimate | None
    logged: Estimate
    verdict: str
    reasons: tuple[Reason, ...]
    default: str


def evaluate(
    log: DecisionLog, target: Target, options: OffPolicyOptions | None = None, origin: Origin | None = None
) -> OffPolicyResult:
    """Estimate the value of a target policy from a log; missing rewards are NaN in it.

    >>> import numpy as np
    >>> log = DecisionLog(("a", "b"), np.arange(400) % 2, np.full(400, 0.5), np.arange(400) % 2 * 1.0, lo=0.0, hi=1.0)
    >>> found = evaluate(log, Target.of(np.tile([0.25, 0.75], (400, 1)), log))
    >>> found.verdict, found.estimates["ips"].value, [reason.code for reason in found.reasons]
    ('caution', 0.75, ['few_rows', 'ess'])
    """
    options, origin = options or OffPolicyOptions(), origin or Origin()
    missing = log.missing
    logs = completed(log, options.missing, options.default_reward)
    used = target if len(logs[0]) == len(log) else target.rows(~missing)
    found = _union([estimate(one, used, options) for one in logs])
    weights = min((diagnose(one, used) for one in logs), key=lambda one: one.event_ess)
    pmf = _pmf(logs[0], used, found, origin.pmf_missing)
    circumstances = Circumstances(
        n=len(log),
        no_propensity=sum(origin.excluded.get(name, 0) for name in ("no_propensity", "zero_propensity")),
        missing=int(missing.sum()),
        missing_as=options.missing,
        mc_share=pmf.mc_share,
        coarse=origin.coarse,
        continuous=len(log.arms) > max(MAX_ARMS, len(log) / 2),
        audit_failed=origin.audit_failed,
    )
    told = judge(weights, circumstances)
    refused = told.verdict == "refuse"
    return OffPolicyResult(
        status="done",
        n=len(log),
        excluded=origin.excluded,
        defaults=origin.defaults,
        weights=weights,
        pmf=pmf,
        estimates=None if refused else found.named,
        sequence=found.sequence,
        lift=None if refused else found.lift,
        logged=found.logged,
        verdict=told.verdict,
        reasons=told.reasons,
        default=found.default,
    )


def _pmf(log: DecisionLog, target: Target, found: Estimates, missing: int) -> Pmf:
    if target.source != "monte_carlo" or target.draws is None:
        return Pmf(target.source, rows_without=missing)
    mc_se, se = monte_carlo_se(target.own, log.propensity, log.reward, target.draws), found.named["ips"].se
    return Pmf(target.source, target.draws, mc_se, mc_se**2 / se**2 if se else None, missing)


def _union(found: list[Estimates]) -> Estimates:
    """One set of estimates, or that of two fillings of missing rewards."""
    if len(found) == 1:
        return found[0]
    one, other = found
    sequence = one.sequence
    if sequence is not None and other.sequence is not None:
        low, high = min(sequence.low, other.sequence.low), max(sequence.high, other.sequence.high)
        sequence = replace(sequence, low=low, high=high)
    return Estimates(
        {name: _either(one.named[name], other.named[name]) for name in one.named},
        sequence,
        _either(one.lift, other.lift),
        _either(one.logged, other.logged),
        one.default,
    )


def _either(one: Estimate, other: Estimate) -> Estimate:
    """Two values and the union of their intervals: no single value, no standard error."""

    def ends(*values: float | int | str | None) -> list[float]:
        return [float(value) for value in values if value is not None]

    values, lows, highs = ends(one.value, other.value), ends(one.low, other.low), ends(one.high, other.high)
    values += ends(*(each.detail.get(name) for each in (one, other) for name in ("value_low", "value_high")))
    detail = {**one.detail, "value_low": min(values, default=None), "value_high": max(values, default=None)}
    return Estimate(None, None, min(lows, default=None), max(highs, default=None), detail)
