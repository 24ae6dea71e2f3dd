"""Experiments as their owners create, read, replace and delete them, and the ready-made ones."""

from __future__ import annotations

from app.dialects.streamingbandit.wire import created_row, default_row, draft_of, experiment_row
from app.http.base import JsonHandler


class Experiments(JsonHandler):
    """``/exp``."""

    async def get(self) -> None:
        """All of this user's experiments, by id."""
        user = await self.require_user()
        found = await self.services.experiments.all(user)
        self.send({experiment.id: experiment_row(experiment) for experiment in found})

    async def post(self) -> None:
        """Create one."""
        user = await self.require_user()
        draft, _ = draft_of(self.json_body())
        self.send(created_row(await self.services.experiments.create(user, draft)))


class OneExperiment(JsonHandler):
    """``/exp/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """All its properties."""
        user = await self.require_user()
        self.send(experiment_row(await self.services.experiments.find(user, exp_id)))

    async def put(self, exp_id: str) -> None:
        """Replace it; the old scripts stay as a revision."""
        user = await self.require_user()
        draft, note = draft_of(self.json_body())
        await self.services.experiments.replace(user, exp_id, draft, note)
        self.send({"id": exp_id})

    async def delete(self, exp_id: str) -> None:
        """Delete it."""
        user = await self.require_user()
        await self.services.experiments.delete(user, exp_id)
        self.send(exp_id)


class Check(JsonHandler):
    """``/exp/check``."""

    async def post(self) -> None:
        """Say what is wrong with scripts, storing nothing."""
        await self.require_user()
        body = self.json_body()
        scripts = body.get("scripts", body)
        draft, _ = draft_of({"name": "check", **(scripts if isinstance(scripts, dict) else {"get_context": scripts})})
        self.send({"errors": await self.services.experiments.check(draft.scripts)})


class Defaults(JsonHandler):
    """``/exp/defaults``."""

    async def get(self) -> None:
        """The titles of the ready-made experiments, by id."""
        await self.require_user()
        self.send({str(default.id): default.title for default in self.services.catalogue.all()})


class OneDefault(JsonHandler):
    """``/exp/defaults/ID``."""

    async def get(self, default_id: str) -> None:
        """One of them with its scripts."""
        await self.require_user()
        self.send(default_row(self.services.catalogue.find(default_id)))
