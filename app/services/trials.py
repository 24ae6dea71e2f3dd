"""Trials as owners make them: of the scripts they are writing, before these are saved."""

from __future__ import annotations

from app.domain.trial import Failure, Trial, Tried
from app.domain.user import User
from app.engine.api import TrialAPI
from app.errors import KeyRefused, NotYours
from app.services.experiments import ExperimentService


class TrialService:
    """Every call is about one user's experiments, as in ``ExperimentService``."""

    def __init__(self, experiments: ExperimentService, trials: TrialAPI) -> None:
        self._experiments = experiments
        self._trials = trials

    async def make(self, user: User, exp_id: str, trial: Trial) -> Tried:
        """Run it, unless one of its scripts does not compile: that is its outcome then."""
        await self._experiments.find(user, exp_id)
        for fault in await self._experiments.check(trial.scripts, lint=False):
            line = trial.scripts[fault.script].splitlines()[fault.line - 1 : fault.line]
            source = line[0].strip()[:500] if line else None
            failure = Failure(fault.script, fault.message, fault.line, fault.column, source)
            return Tried(trial.context, trial.action, trial.reward, failed=failure)
        try:
            return await self._trials.make(exp_id, trial)
        except KeyRefused:  # it was deleted just now
            raise NotYours(exp_id) from None
