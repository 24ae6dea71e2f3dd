"""The engine and its workers for an HTTP process, when another process has them: the same calls, in frames."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from app.domain.requests import ActionAnswer, ActionRequest, RewardAnswer, RewardRequest
from app.domain.trial import Trial, Tried
from app.engine.limits import Limits
from app.errors import EngineAway, EngineLost, KeyRefused, Overloaded
from app.ipc.client import EngineClient
from app.ipc.frames import ActionMessage, ActionResponse, Invoke, RewardMessage, RewardResponse
from app.sandbox.protocol import Fault

_KNOWN = 10_000
_CLOSE_SECONDS = 20.0


@dataclass(frozen=True)
class _Known:
    """An experiment for which the engine accepted this ``key``; believed ``until`` then."""

    live: RemoteExperiment
    key: bytes
    until: float


class RemoteEngine:
    """The engine in another process; a call that is not answered because that process ended fails with 503."""

    def __init__(self, client: EngineClient, limits: Limits) -> None:
        self._client = client
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
            live = RemoteExperiment(exp_id, self._client, self.forget)
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
        return RemoteExperiment(exp_id, self._client, self.forget)

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
                    await self._client.connected()
        except EngineAway:
            raise EngineLost() from None  # the change is made, but perhaps not seen yet

    async def close(self) -> None:
        """Refuse new calls and wait for those under way."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._client.idle()

    def forget(self, exp_id: str) -> None:
        """Ask the engine the next time."""
        self._known.pop(exp_id, None)

    async def _ask(self, name: str, *arguments: Any) -> Any:
        return await ask(self._client, name, *arguments)


class RemoteExperiment:
    """A live experiment in another process."""

    def __init__(self, exp_id: str, client: EngineClient, forget: Any) -> None:
        self._id = exp_id
        self._client = client
        self._forget = forget

    async def get_action(self, request: ActionRequest) -> ActionAnswer:
        """Decide; return once the decision is in the action log. Raises what ``ExperimentAPI`` says."""
        message = ActionMessage(self._client.number(), self._id, request)
        response: ActionResponse = await self._send(message)
        context = request.context if response.context is None else response.context
        return ActionAnswer(response.action, context, response.advice_id, response.debug)

    async def set_reward(self, request: RewardRequest) -> RewardAnswer:
        """Learn from a reward; return once theta and the reward log hold it. Raises what ``ExperimentAPI`` says."""
        message = RewardMessage(self._client.number(), self._id, request)
        response: RewardResponse = await self._send(message)
        return RewardAnswer(
            (request.context or {}) if response.context is None else response.context,
            (request.action or {}) if response.action is None else response.action,
            request.reward,
            response.duplicate,
        )

    async def _send(self, message: ActionMessage | RewardMessage) -> Any:
        try:
            return await self._client.send(message, message.request.size)
        except KeyRefused:
            self._forget(self._id)
            raise

    async def imagine(
        self, script: str, seed: int, context: dict[str, Any] | None = None, action: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run ``get_context`` or ``get_reward``, the scripts that simulate the world; nothing is kept of it."""
        found: dict[str, Any] = await ask(self._client, "imagine", self._id, script, seed, context, action)
        return found


class RemotePool:
    """The workers of another process, for what is asked of them beside calls."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    async def check(self, scripts: dict[str, str], *, lint: bool) -> list[Fault]:
        """What is wrong with the scripts."""
        return msgspec.convert(await ask(self._client, "check", scripts, lint), list[Fault])

    async def confinement(self) -> dict[str, Any]:
        """Return which confinement layers are active there, or why there are none."""
        found: dict[str, Any] = await ask(self._client, "confinement")
        return found


class RemoteTrials:
    """Trials, made by the engine process."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    async def make(self, exp_id: str, trial: Trial) -> Tried:
        """Run it there."""
        return msgspec.convert(await ask(self._client, "try", exp_id, trial), Tried)


async def ask(client: EngineClient, name: str, *arguments: Any) -> Any:
    """Ask what has no message of its own."""
    return (await client.send(Invoke(client.number(), name, list(arguments)))).value
