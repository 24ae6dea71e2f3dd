"""getaction and setreward, singly and in batches: the calls of web pages, with the experiment's key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.dialects.streamingbandit.wire import action_answer, reward_answer
from app.domain.requests import ActionRequest, RewardRequest
from app.errors import InvalidParameter
from app.http.arguments import json_object, text
from app.http.auth import ExperimentKey
from app.http.batches import answer_each
from app.http.bodies import Fields, Raw, json_item
from app.http.fast_handler import FastHandler
from app.services.services import ExperimentAPI

_MAX_ITEMS = 1_000
_KEY = ExperimentKey("key")
_NAMES = ("key", "context", "action", "reward", "advice_id", "request_id")
Parameters = Mapping[str, Any]
OneCall = Callable[[ExperimentAPI, Parameters, int], Awaitable[dict[str, Any]]]


class CoreHandler(FastHandler):
    """A public call whose parameters are in the query string, or in a JSON object as the body."""

    def parameters(self) -> Parameters:
        """Return the parameters: the body wins over the query, and that over the header of the request id."""
        given = self.query_parameters()
        if "Idempotency-Key" in self.request_headers:
            given.setdefault("request_id", self.request_headers["Idempotency-Key"])
        return self.json_body(*_NAMES, given=given) if self.method == "POST" else given

    async def authorize(self, exp_id: str, given: Parameters) -> ExperimentAPI:
        """Return the live experiment; raise ``KeyRefused`` unless the key is its."""
        return await self.services.engine.authorize(exp_id, _KEY.read(given, self.request_headers))

    async def decide(self, live: ExperimentAPI, given: Parameters, size: int) -> dict[str, Any]:
        """Make one decision and return its answer; ``size`` is how many bytes the call holds while it waits."""
        context = json_object("context", given.get("context", {}))
        answer = await live.get_action(ActionRequest(context, _request_id(given), size))
        return action_answer(answer, self.services.config.server.debug)

    async def learn(self, live: ExperimentAPI, given: Parameters, size: int) -> dict[str, Any]:
        """Learn from one reward and return the answer. It is for an advice, or for a context and an action."""
        reward = json_object("reward", _required(given, "reward"))
        if given.get("advice_id"):
            about: dict[str, Any] = {"advice_id": text("advice_id", given["advice_id"], 128)}
        else:
            about = {
                "context": json_object("context", given.get("context", {})),
                "action": json_object("action", _required(given, "action", " (or advice_id)")),
            }
        request = RewardRequest(reward, request_id=_request_id(given), size=size, **about)
        answer = await live.set_reward(request)
        return reward_answer(answer, self.services.config.server.debug)

    async def once(self, exp_id: str, call: OneCall) -> None:
        """Answer a single call."""
        given = self.parameters()
        live = await self.authorize(exp_id, given)
        self.send(await call(live, given, len(self.body) + len(self.query)))

    async def each(self, exp_id: str, call: OneCall) -> None:
        """Answer a batch: for each item what the single call would answer, or its error."""
        given = self.json_body("key", "items")
        live = await self.authorize(exp_id, given)
        items = given.items_at("items", _MAX_ITEMS)
        calls = ((size, _item_call(call, live, item, size)) for item in items for size in [len(memoryview(item))])
        self.send({"items": await answer_each(calls, self.error_body)})


class GetAction(CoreHandler):
    """``/getaction/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """Decide for a context."""
        await self.once(exp_id, self.decide)

    post = get


class SetReward(CoreHandler):
    """``/setreward/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """Take a reward."""
        await self.once(exp_id, self.learn)

    post = get


class GetActions(CoreHandler):
    """``/getaction/EXP_ID/batch``."""

    max_body_bytes = None

    async def post(self, exp_id: str) -> None:
        """Decide for many contexts."""
        await self.each(exp_id, self.decide)


class SetRewards(CoreHandler):
    """``/setreward/EXP_ID/batch``."""

    max_body_bytes = None

    async def post(self, exp_id: str) -> None:
        """Take many rewards."""
        await self.each(exp_id, self.learn)


async def _item_call(call: OneCall, live: ExperimentAPI, item: Raw, size: int) -> dict[str, Any]:
    """Make the call of an item; one that is no object fails alone, as a malformed context does."""
    given = json_item(item, *_NAMES)
    return await call(live, Fields({"context": item, "reward": item}) if given is None else given, size)


def _request_id(given: Parameters) -> str | None:
    return text("request_id", given["request_id"], 128) if given.get("request_id") is not None else None


def _required(given: Parameters, name: str, hint: str = "") -> Any:
    if given.get(name) in (None, ""):
        raise InvalidParameter(name, f"is missing{hint}; expected a JSON object")
    return given[name]
