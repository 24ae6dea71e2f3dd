"""getaction and setreward, singly and in batches: the calls of web pages, with the experiment's key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.dialects.streamingbandit.wire import action_answer, reward_answer
from app.domain.requests import ActionRequest, RewardRequest
from app.engine.api import ExperimentAPI
from app.errors import InvalidParameter
from app.http.arguments import json_object, text
from app.http.auth import ExperimentKey
from app.http.batches import answer_each, batch_items
from app.http.fast_handler import FastHandler

_MAX_ITEMS = 1_000
_KEY = ExperimentKey("key")
Parameters = Mapping[str, Any]
OneCall = Callable[[ExperimentAPI, Parameters, int], Awaitable[dict[str, Any]]]


class CoreHandler(FastHandler):
    """A public call whose parameters are in the query string, or in a JSON object as the body."""

    def parameters(self) -> dict[str, Any]:
        """Return the parameters: the body wins over the query, and that over the header of the request id."""
        given = self.query_parameters()
        if "Idempotency-Key" in self.request_headers:
            given.setdefault("request_id", self.request_headers["Idempotency-Key"])
        return given | self.json_body() if self.method == "POST" else given

    @property
    def _size(self) -> int:
        return len(self.body) + len(self.query)

    async def authorize(self, exp_id: str, given: Parameters) -> ExperimentAPI:
        """Return the live experiment; raise ``KeyRefused`` unless the key is its."""
        return await self.services.engine.authorize(exp_id, _KEY.read(given, self.request_headers))

    async def decide(self, live: ExperimentAPI, given: Parameters, share: int = 1) -> dict[str, Any]:
        """Make one decision and return its answer; ``share`` is how many calls came in this request."""
        context = json_object("context", given.get("context", {}))
        answer = await live.get_action(ActionRequest(context, _request_id(given), self._size // share))
        return action_answer(answer, self.services.config.server.debug)

    async def learn(self, live: ExperimentAPI, given: Parameters, share: int = 1) -> dict[str, Any]:
        """Learn from one reward and return the answer. It is for an advice, or for a context and an action."""
        reward = json_object("reward", _required(given, "reward"))
        if given.get("advice_id"):
            about: dict[str, Any] = {"advice_id": text("advice_id", given["advice_id"], 128)}
        else:
            about = {
                "context": json_object("context", given.get("context", {})),
                "action": json_object("action", _required(given, "action", " (or advice_id)")),
            }
        request = RewardRequest(reward, request_id=_request_id(given), size=self._size // share, **about)
        answer = await live.set_reward(request)
        return reward_answer(answer, self.services.config.server.debug)

    async def each(
        self, exp_id: str, call: Callable[[ExperimentAPI, Parameters, int], Awaitable[dict[str, Any]]]
    ) -> None:
        """Answer a batch: for each item what the single call would answer, or its error."""
        given = self.json_body()
        live = await self.authorize(exp_id, given)
        items = batch_items("items", given.get("items"), _MAX_ITEMS)
        calls = (call(live, _item(item), len(items)) for item in items)
        self.send({"items": await answer_each(calls, self.error_body)})


class GetAction(CoreHandler):
    """``/getaction/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """Decide for a context."""
        given = self.parameters()
        self.send(await self.decide(await self.authorize(exp_id, given), given))

    post = get


class SetReward(CoreHandler):
    """``/setreward/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """Take a reward."""
        given = self.parameters()
        self.send(await self.learn(await self.authorize(exp_id, given), given))

    post = get


class GetActions(CoreHandler):
    """``/getaction/EXP_ID/batch``."""

    async def post(self, exp_id: str) -> None:
        """Decide for many contexts."""
        await self.each(exp_id, self.decide)


class SetRewards(CoreHandler):
    """``/setreward/EXP_ID/batch``."""

    async def post(self, exp_id: str) -> None:
        """Take many rewards."""
        await self.each(exp_id, self.learn)


def _item(item: Any) -> Parameters:
    """Return an item as parameters; one that is no object fails alone, as a malformed context does."""
    return item if isinstance(item, dict) else {"context": item, "reward": item}


def _request_id(given: Parameters) -> str | None:
    return text("request_id", given["request_id"], 128) if given.get("request_id") is not None else None


def _required(given: Parameters, name: str, hint: str = "") -> Any:
    if given.get(name) in (None, ""):
        raise InvalidParameter(name, f"is missing{hint}; expected a JSON object")
    return given[name]
