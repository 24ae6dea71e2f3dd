"""What handlers and services need of an engine, whether it works in this process or in another one."""

from __future__ import annotations

from typing import Any, Protocol

from app.domain.requests import ActionAnswer, ActionRequest, RewardAnswer, RewardRequest
from app.domain.trial import Trial, Tried
from app.sandbox.protocol import Fault


class ExperimentAPI(Protocol):
    """A live experiment: ``app.engine.engine.LiveExperiment``, or the remote one.

    All methods raise ``ScriptFailed`` if the script fails, ``Overloaded`` if too many calls wait, ``StoreUnavailable``
    if nothing was stored in time and ``OutcomeUnknown`` if nobody can say. A cancelled call may still take effect.
    """

    async def get_action(self, request: ActionRequest) -> ActionAnswer:
        """Decide; return once the decision is in the action log."""

    async def set_reward(self, request: RewardRequest) -> RewardAnswer:
        """Learn from a reward; return once theta and the reward log hold it.

        Raises ``AdviceUnknown``, ``AdviceNotOffered``, ``AdviceExpired`` or ``RewardRefused`` if it cannot be taken.
        """

    async def imagine(
        self, script: str, seed: int, context: dict[str, Any] | None = None, action: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run one of the scripts that simulate the world; return what it filled. Nothing is kept of it."""


class EngineAPI(Protocol):
    """``app.engine.engine.Engine``, or ``app.ipc.remote.RemoteEngine``."""

    async def authorize(self, exp_id: str, key: str) -> ExperimentAPI:
        """Return the experiment to whoever has its key; ``KeyRefused`` for anybody else and where there is none."""

    async def get(self, exp_id: str) -> ExperimentAPI:
        """Return the experiment for the server's own purposes; ``KeyRefused`` where there is none."""

    async def invalidate(self, exp_id: str) -> None:
        """Return once the next call sees a change that was made here, whichever process it comes by."""

    async def close(self) -> None:
        """Refuse new calls and wait for those under way."""


class ScriptChecker(Protocol):
    """What is asked of the workers beside calls: ``app.sandbox.host.pool.Pool``, or the remote one."""

    async def check(self, scripts: dict[str, str], *, lint: bool) -> list[Fault]:
        """Return what is wrong with the scripts."""

    async def confinement(self) -> dict[str, Any]:
        """Return which confinement layers are active, or why there are none."""


class TrialAPI(Protocol):
    """``app.engine.trial.Trials``, or the remote ones."""

    async def make(self, exp_id: str, trial: Trial) -> Tried:
        """Run one visit of which nothing is kept."""
