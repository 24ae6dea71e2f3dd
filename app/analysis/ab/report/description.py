"""What people say of an experiment beside its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.ab.plan.guardrails import Guardrail


@dataclass(frozen=True, kw_only=True)
class Description:
    """Names, hypothesis and conditions as texts, any of which may be empty; guardrails and metrics by name."""

    primary_metric: str
    target_audience: str = ""
    change: str = ""
    inclusion_criteria: str = ""
    exclusion_criteria: str = ""
    randomization_unit: str = "user"
    secondary_metrics: tuple[str, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    interference_risk: str = ""
    technical_constraints: str = ""
    legal_or_ethics_constraints: str = ""
    known_risks: str = ""
    deadline_pressure: str = ""
    returning_users_present: bool = False
