"""The page to edit an experiment, and the page that compares two of its revisions."""

from __future__ import annotations

import json
from typing import Any

from app.dashboard.base import PageHandler
from app.dashboard.failure_text import FailureText
from app.dashboard.snippets import snippets
from app.domain.experiment import SCRIPTS, ExperimentSpec
from app.domain.rows import Revision

_LISTED = 100
# What each script is for, in the order of a visit: what it does, and what of ``self`` it reads and fills.
PURPOSES = {
    "get_context": (
        "Generates a context, for trials and simulations. Your page sends the real one.",
        "fills self.context",
    ),
    "get_action": ("Chooses the action. This is the policy.", "reads self.context and theta, fills self.action"),
    "get_reward": (
        "Simulates a reward, for trials and simulations.",
        "fills self.reward",
    ),
    "set_reward": ("Learns from a reward.", "reads context, action and reward, calls self.set_theta"),
}
_OPTIONS = {
    "name": "Name",
    "advice_id": "Advice ids",
    "delta_hours": "Reward window (hours)",
    "default_reward": "Default reward",
    "hourly_theta": "Hourly theta snapshots",
}


class EditorPage(PageHandler):
    """``/ui/experiments/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """The experiment with its revisions, and how to call it."""
        experiment = await self.services.experiments.find(self.reader, exp_id)
        revisions = await self.services.experiments.revisions(self.reader, exp_id)
        failing = (await self.services.statistics.failing([exp_id])).get(exp_id)
        self.show(
            "editor.html",
            failing=FailureText.of(failing) if failing else None,
            experiment=experiment,
            default_reward=json.dumps(experiment.default_reward),
            revisions=revisions[:_LISTED],
            older=len(revisions[_LISTED:]),
            purposes=PURPOSES,
            templates=self.services.catalogue.all(),
            snippets=snippets(f"{self.request.protocol}://{self.request.host}", experiment),
            origin=f"{self.request.protocol}://{self.request.host}",
        )


class RevisionPage(PageHandler):
    """``/ui/experiments/EXP_ID/revisions/N``: what it holds, and how it differs from another one."""

    async def get(self, exp_id: str, number: str) -> None:
        """Compare it with the revision before it, or with the one that ``?with=N`` names."""
        revisions = await self.services.experiments.revisions(self.reader, exp_id)
        shown = await self.services.experiments.revision(self.reader, exp_id, int(number))
        other = await self._other(exp_id, shown.revision)
        experiment = await self.services.experiments.find(self.reader, exp_id)
        self.show(
            "revision.html",
            experiment=experiment,
            revisions=revisions,
            shown=shown,
            other=other,
            scripts=[(name, other.spec.scripts[name] if other else "", shown.spec.scripts[name]) for name in SCRIPTS],
            options=_changed(other.spec, shown.spec) if other else [],
        )

    async def _other(self, exp_id: str, number: int) -> Revision | None:
        wanted = self.get_query_argument("with", "")
        chosen = int(wanted) if wanted.isdecimal() and len(wanted) < 9 else number - 1
        return await self.services.experiments.revision(self.reader, exp_id, chosen) if chosen else None


def _changed(before: ExperimentSpec, after: ExperimentSpec) -> list[tuple[str, str, str]]:
    """The options that differ: what they are called, and both values."""
    return [
        (label, _shown(getattr(before, name)), _shown(getattr(after, name)))
        for name, label in _OPTIONS.items()
        if getattr(before, name) != getattr(after, name)
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)
