"""Experiments as their owners create, read, replace and delete them, and the ready-made ones."""

from __future__ import annotations

from collections.abc import Mapping

from app.dialects.streamingbandit.wire import created_row, default_row, draft_of, experiment_row, revision_row
from app.domain.experiment import Experiment
from app.errors import ForeignOrigin
from app.http.arguments import text, whole
from app.http.base import JsonHandler


class ExperimentsHandler(JsonHandler):
    """``/exp``."""

    max_body_bytes = None

    async def get(self) -> None:
        """Answer the caller's experiments by id."""
        user = await self.require_user()
        found = await self.services.experiments.all(user)
        self.send({experiment.id: experiment_row(experiment) for experiment in found})

    async def post(self) -> None:
        """Create an experiment."""
        user = await self.require_user()
        draft, _ = draft_of(self.json_body())
        self.send(created_row(await self.services.experiments.create(user, draft)))


class OneExperiment(JsonHandler):
    """``/exp/EXP_ID``."""

    max_body_bytes = None

    async def get(self, exp_id: str) -> None:
        """Answer all properties of an experiment."""
        user = await self.require_user()
        experiment = await self.services.experiments.find(user, exp_id)
        self._tag(experiment)
        self.send(experiment_row(experiment))

    async def put(self, exp_id: str) -> None:
        """Replace an experiment; the old scripts stay as a revision."""
        user = await self.require_user()
        draft, note = draft_of(self.json_body())
        saved = await self.services.experiments.replace(user, exp_id, draft, note, self._expected())
        self._tag(saved)
        self.send({"id": exp_id})

    async def delete(self, exp_id: str) -> None:
        """Delete an experiment."""
        user = await self.require_user()
        await self.services.experiments.delete(user, exp_id)
        self.send(exp_id)

    def _tag(self, experiment: Experiment) -> None:
        """Send the revision in ``ETag``, for a later ``If-Match``."""
        self.set_header("ETag", f'"{experiment.revision}"')

    def _expected(self) -> int | None:
        """Return the revision that the caller wants to replace; None for whichever there is."""
        tag = self.request.headers.get("If-Match", "*").strip().strip('"')
        return None if tag == "*" else whole("If-Match", tag, 1, 10**9)


class Reset(JsonHandler):
    """``/exp/EXP_ID/resetexperiment``."""

    async def get(self, exp_id: str) -> None:
        """Delete all thetas, or those of one key, or one. A GET that changes things, so other sites may not send it."""
        if self.request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not self.origin_allowed:
            raise ForeignOrigin("another site")
        user = await self.require_user()
        deleted = await self.services.experiments.reset(
            user,
            exp_id,
            text("key", self.get_query_argument("key", None)),
            self.get_query_argument("theta_key", None),
            self.get_query_argument("theta_value", None),
        )
        self.send({"status": "success", "deleted": deleted})


class Revisions(JsonHandler):
    """``/exp/EXP_ID/revisions``."""

    async def get(self, exp_id: str) -> None:
        """List all revisions, newest first."""
        user = await self.require_user()
        self.send([revision_row(row) for row in await self.services.experiments.revisions(user, exp_id)])


class OneRevision(JsonHandler):
    """``/exp/EXP_ID/revisions/N``."""

    async def get(self, exp_id: str, number: str) -> None:
        """Answer one revision with its scripts."""
        user = await self.require_user()
        self.send(revision_row(await self.services.experiments.revision(user, exp_id, int(number))))


class Restore(JsonHandler):
    """``/exp/EXP_ID/revisions/N/restore``."""

    async def post(self, exp_id: str, number: str) -> None:
        """Make a revision current again, as a new revision."""
        user = await self.require_user()
        saved = await self.services.experiments.restore(user, exp_id, int(number))
        self.send({"id": exp_id, "revision": saved.revision})


class CheckHandler(JsonHandler):
    """``/exp/check``."""

    writes = frozenset()

    max_body_bytes = None

    async def post(self) -> None:
        """Answer what is wrong with scripts; nothing is stored."""
        await self.require_user()
        body = self.json_body()
        body.open("scripts")
        scripts = body.get("scripts", body)
        given = scripts if isinstance(scripts, Mapping) else {"get_context": scripts}
        draft, _ = draft_of({"name": "check", **given})
        self.send({"errors": await self.services.experiments.check(draft.scripts)})


class Defaults(JsonHandler):
    """``/exp/defaults``."""

    async def get(self) -> None:
        """Answer the titles of the ready-made experiments by id."""
        await self.require_user()
        self.send({str(default.id): default.title for default in self.services.catalogue.all()})


class OneDefault(JsonHandler):
    """``/exp/defaults/ID``."""

    async def get(self, default_id: str) -> None:
        """Answer a ready-made experiment with its scripts."""
        await self.require_user()
        self.send(default_row(self.services.catalogue.find(default_id)))
