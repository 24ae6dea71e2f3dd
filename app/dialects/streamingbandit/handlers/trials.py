"""Trying an experiment: one visit of which nothing is kept, in one call or in several.

What connects the calls of one visit is an advice id that stands for no row. It carries the decision itself, signed, so
that nobody can have this server read what it did not write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from app.dialects.streamingbandit.wire import draft_of
from app.domain.experiment import SCRIPTS
from app.domain.outcomes import propensity_of
from app.domain.simulation import new_seed
from app.domain.theta import ThetaKey, joined
from app.domain.trial import Change, Trial, Tried
from app.errors import InvalidParameter
from app.http.arguments import json_object, text, whole
from app.http.base import JsonHandler

_DAYS = 1
_MAX_TOKEN = 2 * 2**20


class Advice(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A decision and what its script wrote, from which a later call of the same trial continues."""

    seed: int
    context: dict[str, Any]
    action: dict[str, Any]
    writes: list[tuple[tuple[str, str, str | None, str | None], bytes | None]]


_decode = msgspec.msgpack.Decoder(Advice).decode
_encode = msgspec.msgpack.Encoder().encode


class Try(JsonHandler):
    """``/exp/EXP_ID/try``."""

    writes = frozenset()

    max_body_bytes = None

    async def post(self, exp_id: str) -> None:
        """Run some of the scripts, with those of the body in place of the saved ones; nothing is kept."""
        user = await self.require_user()
        body = self.json_body()
        body.open("scripts")
        trial = trial_of(body, self._advice(exp_id, body.get("advice_id")))
        tried = await self.services.trials.make(user, exp_id, trial)
        row = trial_row(exp_id, trial, tried)
        if "get_action" in tried.done or (trial.action and tried.failed is None):
            row["advice_id"] = self._advice_id(exp_id, trial, tried)
        self.send(row)

    def _advice(self, exp_id: str, advice_id: Any) -> Advice | None:
        if advice_id is None:
            return None
        signed = text("advice_id", advice_id, _MAX_TOKEN)
        carried = self.get_signed_cookie(_purpose(exp_id), signed, _DAYS, min_version=2) if signed.isascii() else None
        if carried is None:
            raise InvalidParameter("advice_id", "this is no advice of a trial of this experiment, or it is too old")
        return _decode(carried)

    def _advice_id(self, exp_id: str, trial: Trial, tried: Tried) -> str | None:
        writes = [(tuple(key), theta) for key, theta in tried.writes.items()]
        carried = _encode([trial.seed, tried.context, tried.action, writes])
        signed = self.create_signed_value(_purpose(exp_id), carried).decode()
        return signed if len(signed) <= _MAX_TOKEN else None


def _purpose(exp_id: str) -> str:
    return f"trial of {exp_id}"


def trial_of(body: Mapping[str, Any], advice: Advice | None) -> Trial:
    """Return the trial that a body describes; ``advice`` is the decision from which it continues."""
    given = {name: json_object(name, body[name]) for name in ("context", "action", "reward") if _is_given(body, name)}
    if advice is not None:
        given |= {"context": advice.context, "action": advice.action}
    scripts = body.get("scripts") or {}
    if not isinstance(scripts, Mapping):
        raise InvalidParameter("scripts", "expected an object with scripts by their names")
    draft, _ = draft_of({"name": "trial", **{name: scripts[name] for name in SCRIPTS if name in scripts}})
    start = body.get("start") or "current"
    if start not in ("current", "empty"):
        raise InvalidParameter("start", "expected current or empty")
    seed = advice.seed if advice else new_seed()
    return Trial(
        run=_run(body.get("run"), given),
        seed=whole("seed", body["seed"], -(2**63), 2**63 - 1) if _is_given(body, "seed") else seed,
        scripts={name: source for name, source in draft.scripts.items() if name in scripts},
        empty=start == "empty",
        writes={ThetaKey(*names): theta for names, theta in advice.writes} if advice else {},
        **given,
    )


def _is_given(body: Mapping[str, Any], name: str) -> bool:
    return body.get(name) not in (None, "")


def _run(names: Any, given: dict[str, Any]) -> tuple[str, ...]:
    """Return the scripts to run; by default those that getaction and setreward would run."""
    if names is None:
        names = ["set_reward"] if {"action", "reward"} <= given.keys() else ["get_action"]
        names += ["set_reward"] if "reward" in given and "action" not in given else []
    if not isinstance(names, list) or not names or any(name not in SCRIPTS for name in names):
        raise InvalidParameter("run", f"expected an array of some of {', '.join(SCRIPTS)}")
    learns = "set_reward" in names
    if (learns or "get_reward" in names) and not ("action" in given or "get_action" in names):
        raise InvalidParameter("action", "is missing (or advice_id); expected a JSON object")
    if learns and not ("reward" in given or "get_reward" in names):
        raise InvalidParameter("reward", "is missing; expected a JSON object")
    return tuple(name for name in SCRIPTS if name in names)


def trial_row(exp_id: str, trial: Trial, tried: Tried) -> dict[str, Any]:
    """Return the answer: what ran, what came of it, and how theta changed."""
    return {
        "seed": trial.seed,
        "run": trial.run,
        "done": tried.done,
        "context": tried.context,
        "action": tried.action,
        "propensity": propensity_of(tried.action),
        "reward": tried.reward,
        "theta": {
            "before": tried.before,
            "after": tried.after,
            "changes": [_change_row(exp_id, change) for change in tried.changes],
            "more_changes": tried.unshown,
        },
        "logs": [{"script": script, "data": data} for script, data in tried.logs],
        "debug": [{"script": script, "value": value} for script, value in tried.debug],
        "printed": [{"script": script, "text": text} for script, text in tried.printed],
        "failed": tried.failed and vars(tried.failed),
    }


def _change_row(exp_id: str, change: Change) -> dict[str, Any]:
    key = change.key
    nested = {} if key.exp_id == exp_id else {"experiment": key.exp_id}
    names = {"theta": joined(key.key, key.value), "name": key.name}
    return nested | names | {"before": change.before, "after": change.after}
