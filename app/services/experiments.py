"""Experiments as their owners handle them: create, list, read, replace, delete, check."""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime

from app.domain.experiment import SCRIPTS, Experiment, ExperimentListItem, ExperimentSpec
from app.domain.rows import Revision, RevisionListItem
from app.domain.user import User
from app.engine.api import EngineAPI, ScriptChecker
from app.errors import InvalidParameter, InvalidScript, KeyRefused, NotFound, NotYours
from app.sandbox.protocol import SCRIPT_LIMIT, Fault
from app.storage.store import Store


class ExperimentService:
    """Every call is about one user's experiments: another's are as if they did not exist."""

    def __init__(self, store: Store, engine: EngineAPI, pool: ScriptChecker) -> None:
        self._store = store
        self._engine = engine
        self._pool = pool

    async def create(self, user: User, draft: ExperimentSpec) -> Experiment:
        """Make an experiment; ``InvalidScript`` or ``NameTaken`` if that cannot be."""
        await self._require_sound(draft)
        experiment = Experiment(
            id=secrets.token_hex(6),
            key=secrets.token_hex(16),
            owner=user.name,
            created=datetime.now(UTC),
            **vars(draft),
        )
        await self._store.experiments.insert(experiment)
        return experiment

    async def all(self, user: User) -> list[Experiment]:
        """All of this user's, by name."""
        return await self._store.experiments.of_owner(user.name)

    async def listed(self, user: User, search: str, *, skip: int, limit: int) -> tuple[list[ExperimentListItem], int]:
        """Some of this user's whose names contain ``search``, by name, and how many there are of them."""
        return await self._store.experiments.listed(user.name, search, skip, limit)

    async def find(self, user: User, exp_id: str) -> Experiment:
        """One of this user's; ``NotYours`` otherwise."""
        experiment = await self._store.experiments.find(exp_id)
        if experiment is None or experiment.owner != user.name:
            raise NotYours(exp_id)
        return experiment

    async def replace(
        self, user: User, exp_id: str, draft: ExperimentSpec, note: str = "", expected: int | None = None
    ) -> Experiment:
        """Make the draft its next revision; theta stays. ``EditedMeanwhile`` if the present one is not ``expected``."""
        present = await self.find(user, exp_id)
        await self._require_sound(draft)
        wanted = Experiment(id=exp_id, key=present.key, owner=present.owner, created=present.created, **vars(draft))
        saved = await self._store.experiments.replace(wanted, user.name, note, expected)
        await self._engine.invalidate(exp_id)
        return saved

    async def delete(self, user: User, exp_id: str) -> None:
        """Fence it off and take it from the list."""
        await self.find(user, exp_id)
        await self._store.experiments.delete(exp_id)
        await self._engine.invalidate(exp_id)

    async def reset(self, user: User, exp_id: str, key: str, theta_key: str | None, theta_value: str | None) -> int:
        """Delete all thetas, or those of one key, or one; how many there were."""
        experiment = await self.find(user, exp_id)
        if not hmac.compare_digest(experiment.key.encode(), key.encode()):
            raise KeyRefused()
        if theta_key is not None:
            deleted = await self._store.experiments.forget_theta(exp_id, user.name, theta_key, theta_value)
        elif theta_value is not None:
            raise InvalidParameter("theta_key", "is missing, as theta_value is given")
        else:
            deleted = await self._store.experiments.reset(exp_id, user.name)
        await self._engine.invalidate(exp_id)
        return deleted

    async def revisions(self, user: User, exp_id: str) -> list[RevisionListItem]:
        """All revisions, newest first, without their scripts."""
        await self.find(user, exp_id)
        return await self._store.experiments.revisions(exp_id)

    async def revision(self, user: User, exp_id: str, number: int) -> Revision:
        """One revision."""
        await self.find(user, exp_id)
        row = await self._store.experiments.revision(exp_id, number)
        if row is None:
            raise NotFound(f"this experiment has no revision {number}")
        return row

    async def restore(self, user: User, exp_id: str, number: int) -> Experiment:
        """Make a revision current again, as a new one."""
        wanted = await self.revision(user, exp_id, number)
        return await self.replace(user, exp_id, wanted.spec, f"revision {number} restored")

    async def check(self, scripts: dict[str, str], *, lint: bool = True) -> list[Fault]:
        """What is wrong with the scripts, without ``lint`` only what does not compile; nothing is stored."""
        for name, source in scripts.items():
            if name not in SCRIPTS:
                raise InvalidParameter(name, f"there is no such script; expected {', '.join(SCRIPTS)}")
            if len(source) > SCRIPT_LIMIT:
                raise InvalidParameter(name, f"a script may have {SCRIPT_LIMIT >> 10} KiB")
        return await self._pool.check(scripts, lint=lint) if scripts else []

    async def _require_sound(self, draft: ExperimentSpec) -> None:
        written = {name: source for name, source in draft.scripts.items() if source}
        faults = await self.check(written, lint=False)
        if faults:
            raise InvalidScript(
                [
                    {"script": fault.script, "line": fault.line, "column": fault.column, "message": fault.message}
                    for fault in faults
                ]
            )
