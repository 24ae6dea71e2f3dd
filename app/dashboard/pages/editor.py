"""The page on which an experiment is written, and the page on which two of its revisions are compared."""

from __future__ import annotations

import json
from typing import Any

from app.dashboard.base import PageHandler
from app.dashboard.snippets import snippets
from app.domain.experiment import SCRIPTS, ExperimentSpec
from app.domain.rows import Revision

_LISTED = 100
# What each script is for, in the order of a visit: what it does, and what of ``self`` it reads and fills.
PURPOSES = {
    "get_context": (
        "Makes up a visitor, for trials and simulations. Your page sends the real one.",
        "fills self.context",
    ),
    "get_action": ("Decides what to show. This is the policy.", "reads self.context and theta, fills self.action"),
    "get_reward": ("Makes up how a visitor reacts, for trials and simulations.", "fills self.reward"),
    "set_reward": ("Learns from a reward.", "reads context, action and reward, calls self.set_theta"),
}
_OPTIONS = {
    "name": "Name",
    "advice_id": "Advice ids",
    "delta_hours": "Hours until a decision times out",
    "default_reward": "Default reward",
    "hourly_theta": "Hourly snapshots of theta",
}


class EditorPage(PageHandler):
    """``/ui/experiments/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """The experiment with its revisions, and how to call it."""
        experiment = await self.services.experiments.find(self.reader, exp_id)
        revisions = await self.services.experiments.revisions(self.reader, exp_id)
        self.show(
            "editor.html",
            experiment=experiment,
            default_reward=json.dumps(experiment.default_reward),
            revisions=revisions[:_LISTED],
            older=len(revisions[_LISTED:]),
            purposes=PURPOSES,
            defaults=self.services.catalogue.all(),
            snippets=snippets(f"{self.request.protocol}://{self.request.host}", experiment),
            origin=f"{self.request.protocol}://{self.request.host}",
        )


class RevisionPage(PageHandler):
    """``/ui/experiments/EXP_ID/revisions/N``: what it holds, and how it differs from another one."""

    async def get(self, exp_id: str, number: str) -> None:
        """By default it is compared with the one before it."""
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
