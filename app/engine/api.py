"""What handlers and services need of an engine, whether it works in this process or in another one."""

from __future__ import annotations

from typing import Any, Protocol

from app.engine.calls import ActionAnswer, RewardAnswer
from app.engine.trial import Trial, Tried
from app.sandbox.protocol import Fault


class ExperimentAPI(Protocol):
    """A live experiment: ``app.engine.engine.LiveExperiment``, or the remote one."""

    async def get_action(
        self, context: dict[str, Any], *, request_id: str | None = None, size: int = 0
    ) -> ActionAnswer:
        """Decide."""

    async def set_reward(
        self,
        reward: dict[str, Any],
        *,
        advice_id: str | None = None,
        context: dict[str, Any] | None = None,
        action: dict[str, Any] | None = None,
        request_id: str | None = None,
        size: int = 0,
    ) -> RewardAnswer:
        """Learn from a reward."""

    async def imagine(
        self, script: str, seed: int, context: dict[str, Any] | None = None, action: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run one of the scripts that simulate the world."""


class EngineAPI(Protocol):
    """``app.engine.engine.Engine``, or ``app.ipc.remote.RemoteEngine``."""

    async def authorize(self, exp_id: str, key: str) -> ExperimentAPI:
        """The experiment, for whoever has its key."""

    async def get(self, exp_id: str) -> ExperimentAPI:
        """The experiment, for the server's own purposes."""

    async def invalidate(self, exp_id: str) -> None:
        """The experiment was changed here: the next call must see that, whichever process it comes by."""

    async def close(self) -> None:
        """Refuse new calls and wait for those under way."""


class ScriptChecker(Protocol):
    """What is asked of the workers beside calls: ``app.sandbox.host.pool.Pool``, or the remote one."""

    async def check(self, scripts: dict[str, str], *, lint: bool) -> list[Fault]:
        """What is wrong with the scripts."""

    async def walls(self) -> dict[str, Any]:
        """The walls that stand, or why there are none."""


class TrialAPI(Protocol):
    """``app.engine.trial.Trials``, or the remote ones."""

    async def make(self, exp_id: str, trial: Trial) -> Tried:
        """Run one visit of which nothing is kept."""
