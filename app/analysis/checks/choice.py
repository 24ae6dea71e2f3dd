"""Whether arms are chosen, and arrive, as often as their probabilities say."""

from __future__ import annotations

from app.analysis.arrays import Bools
from app.analysis.checks.check import HealthCheck
from app.analysis.evidence import alarm_limit, choice_evidence, highest_evidence
from app.analysis.log import DecisionLog


def choice(log: DecisionLog) -> list[HealthCheck]:
    """Sample ratio under changing allocation: ln E per arm that its pmf is not how often it is chosen.

    An alarm stands once ln E has reached ln(K / .001) after any row; chance brings one in a thousand experiments, for
    ever. A chi-square test against fixed shares is meaningless under a learning policy. Raises ValueError without pmf.
    """
    return _by_arm(log, "choice", "chosen")


def arrival(log: DecisionLog, arrived: Bools) -> list[HealthCheck]:
    """The same over decisions that were exposed or rewarded: an arm whose page breaks loses rows.

    Only where everybody sends a reward. ``arrived`` has shape (n,) and is false for default rewards.
    """
    return _by_arm(log.rows(arrived), "arrival", "there")


def _by_arm(log: DecisionLog, name: str, verb: str) -> list[HealthCheck]:
    if log.pmf is None:
        raise ValueError(f"{name}: the log has no pmf, so nothing says how often an arm should be {verb}")
    limit = alarm_limit(len(log.arms))
    found = []
    for arm, label in enumerate(log.arms):
        hits, p = (log.chosen == arm).astype(float), log.pmf[:, arm]
        highest = highest_evidence(hits, p)
        text = f"{label} was {verb} in {int(hits.sum())} of {len(log)} decisions; {p.sum():.0f} were expected."
        evidence = choice_evidence(hits, p) if len(log) else 0.0
        found.append(HealthCheck(name, label, text, evidence, None, highest, limit, highest >= limit, False))
    return found
