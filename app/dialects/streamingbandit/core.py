"""getaction and setreward: the calls of web pages, with the experiment's key."""

from __future__ import annotations

from typing import Any

from app.dialects.streamingbandit.wire import action_answer, reward_answer
from app.errors import InvalidParameter
from app.http.arguments import json_object, text
from app.http.base import JsonHandler


class CoreHandler(JsonHandler):
    """A public call whose parameters are in the query string, or in a JSON object as the body."""

    public = True

    def parameters(self) -> dict[str, Any]:
        """All parameters; the body's win."""
        query = {name: self.decode_argument(values[-1], name) for name, values in self.request.arguments.items()}
        return query | self.json_body() if self.request.method == "POST" else query

    @property
    def debug(self) -> bool:
        """Whether answers repeat what went in."""
        return bool(self.services.config["server.debug"])


class GetAction(CoreHandler):
    """``/getaction/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """Decide for a context."""
        given = self.parameters()
        key = text("key", given.get("key"))
        context = json_object("context", given.get("context", {}))
        answer = await self.services.engine.get_action(exp_id, key, context)
        self.send(action_answer(answer, self.debug))

    post = get


class SetReward(CoreHandler):
    """``/setreward/EXP_ID``."""

    async def get(self, exp_id: str) -> None:
        """Take a reward for an advice, or for a context and an action."""
        given = self.parameters()
        key = text("key", given.get("key"))
        reward = json_object("reward", _required(given, "reward"))
        if given.get("advice_id"):
            about: dict[str, Any] = {"advice_id": text("advice_id", given["advice_id"], 128)}
        else:
            about = {
                "context": json_object("context", given.get("context", {})),
                "action": json_object("action", _required(given, "action", " (or advice_id)")),
            }
        answer = await self.services.engine.set_reward(exp_id, key, reward, **about)
        self.send(reward_answer(answer, self.debug))

    post = get


def _required(given: dict[str, Any], name: str, hint: str = "") -> Any:
    if given.get(name) in (None, ""):
        raise InvalidParameter(name, f"is missing{hint}; expected a JSON object")
    return given[name]
