"""The engine and its workers as an HTTP process sees them when another process has them: the same calls, in frames."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from app.engine.calls import ActionAnswer, RewardAnswer
from app.engine.limits import Limits
from app.engine.trial import Trial, Tried
from app.errors import EngineAway, EngineLost, KeyRefused, Overloaded
from app.ipc.client import EngineClient
from app.ipc.frames import ActionMessage, ActionResponse, Invoke, RewardMessage, RewardResponse
from app.sandbox.protocol import Fault

_KNOWN = 10_000
_CLOSE_SECONDS = 20.0


@dataclass(frozen=True)
class _Known:
    """An experiment that the engine let somebody in to, who had the ``key``."""

    live: RemoteExperiment
    key: bytes
    until: float


class RemoteEngine:
    """The engine in another process; a call that is not answered because that process ended fails with 503."""

    def __init__(self, line: EngineClient, limits: Limits) -> None:
        self._line = line
        self._limits = limits
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._closing = False

    async def authorize(self, exp_id: str, key: str) -> RemoteExperiment:
        """The experiment, for whoever has its key; ``KeyRefused`` for anybody else and where there is none.

        Keys never change, so what the engine said is believed for a moment. Should the experiment be deleted in it,
        the engine refuses the call itself.
        """
        if self._closing:
            raise Overloaded()
        given = key.encode("utf-8", "surrogatepass")
        known = self._known.get(exp_id)
        if known is None or known.until < time.monotonic():
            await self._ask("authorize", exp_id, given)
            live = RemoteExperiment(exp_id, self._line, self.forget)
            known = _Known(live, given, time.monotonic() + self._limits.staleness_seconds)
            self._known[exp_id] = known
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        elif not hmac.compare_digest(known.key, given):
            raise KeyRefused()
        return known.live

    async def get(self, exp_id: str) -> RemoteExperiment:
        """The experiment, for the server's own purposes; ``KeyRefused`` where there is none."""
        if self._closing:
            raise Overloaded()
        await self._ask("get", exp_id)
        return RemoteExperiment(exp_id, self._line, self.forget)

    async def invalidate(self, exp_id: str) -> None:
        """The experiment was changed here: the next call must see that, whichever process it comes by."""
        self.forget(exp_id)
        try:
            while True:
                try:
                    await self._ask("invalidate", exp_id)
                    return
                except EngineLost:
                    pass
                except EngineAway:
                    await self._line.connected()
        except EngineAway:
            raise EngineLost() from None  # the change is made, but perhaps not seen yet

    async def close(self) -> None:
        """Refuse new calls and wait for those under way."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._line.idle()

    def forget(self, exp_id: str) -> None:
        """Ask the engine the next time."""
        self._known.pop(exp_id, None)

    async def _ask(self, name: str, *arguments: Any) -> Any:
        return await ask(self._line, name, *arguments)


class RemoteExperiment:
    """A live experiment in another process."""

    def __init__(self, exp_id: str, line: EngineClient, forget: Any) -> None:
        self._id = exp_id
        self._line = line
        self._forget = forget

    async def get_action(
        self, context: dict[str, Any], *, request_id: str | None = None, size: int = 0
    ) -> ActionAnswer:
        """Decide; returns once the decision is in the action log. ``size`` is about how many bytes came in."""
        line = self._line
        try:
            answer: ActionResponse = await line.send(
                ActionMessage(line.number(), self._id, context, request_id, size), size
            )
        except KeyRefused:
            self._forget(self._id)
            raise
        return ActionAnswer(
            answer.action, context if answer.context is None else answer.context, answer.advice_id, answer.debug
        )

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
        """Learn from a reward; returns once theta and the reward log hold it. ``size`` as for ``get_action``."""
        line = self._line
        call = RewardMessage(line.number(), self._id, reward, advice_id, context, action, request_id, size)
        try:
            answer: RewardResponse = await line.send(call, size)
        except KeyRefused:
            self._forget(self._id)
            raise
        return RewardAnswer(
            (context or {}) if answer.context is None else answer.context,
            (action or {}) if answer.action is None else answer.action,
            reward,
            answer.duplicate,
        )

    async def imagine(
        self, script: str, seed: int, context: dict[str, Any] | None = None, action: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run ``get_context`` or ``get_reward``, the scripts that simulate the world; nothing is kept of it."""
        found: dict[str, Any] = await ask(self._line, "imagine", self._id, script, seed, context, action)
        return found


class RemotePool:
    """The workers of another process, for what is asked of them beside calls."""

    def __init__(self, line: EngineClient) -> None:
        self._line = line

    async def check(self, scripts: dict[str, str], *, lint: bool) -> list[Fault]:
        """What is wrong with the scripts."""
        return msgspec.convert(await ask(self._line, "check", scripts, lint), list[Fault])

    async def walls(self) -> dict[str, Any]:
        """The walls that stand there, or why there are none."""
        found: dict[str, Any] = await ask(self._line, "walls")
        return found


class RemoteTrials:
    """Trials, made by the engine process."""

    def __init__(self, line: EngineClient) -> None:
        self._line = line

    async def make(self, exp_id: str, trial: Trial) -> Tried:
        """Run it there."""
        return msgspec.convert(await ask(self._line, "try", exp_id, trial), Tried)


async def ask(line: EngineClient, name: str, *arguments: Any) -> Any:
    """Ask what has no message of its own."""
    return (await line.send(Invoke(line.number(), name, list(arguments)))).value
