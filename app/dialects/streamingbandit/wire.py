"""JSON as StreamingBandit's clients send and read it, to and from the domain's types. No I/O."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from app.domain.decision import Decision, Reward, RewardedDecision
from app.domain.experiment import SCRIPTS, Experiment, ExperimentSpec
from app.domain.ids import seed_of
from app.domain.requests import ActionAnswer, RewardAnswer
from app.domain.rows import ErrorRow, LogRow, Revision, RevisionListItem, StoredRun, ThetaSnapshot
from app.domain.simulation import MAX_DRAWS, MAX_REPEATS, Plan
from app.errors import InvalidParameter
from app.http.arguments import json_object, whole
from app.services.catalogue import Template
from app.services.statistics import Summary

_TRUE = {"true", "y", "yes", "t", "1", "on"}
_FALSE = {"false", "n", "no", "f", "0", "off", ""}
_MAX_HOURS = 99_999

EXPERIMENT = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        **{script: {"type": "string"} for script in SCRIPTS},
        "hourly_theta": {"type": "boolean"},
        "advice_id": {"type": "boolean"},
        "delta_hours": {"type": "number", "minimum": 0, "maximum": _MAX_HOURS},
        "default_reward": {"type": "object"},
        "note": {"type": "string", "maxLength": 1_000},
    },
    "if": {"properties": {"advice_id": {"const": True}}, "required": ["advice_id"]},
    "then": {"required": ["delta_hours", "default_reward"]},
}
_EXPECTED = {
    "name": "expected text of 1 to 200 characters",
    "note": "expected text of at most 1,000 characters",
    "hourly_theta": "expected true or false",
    "advice_id": "expected true or false",
    "delta_hours": f"expected a number of hours from 0 to {_MAX_HOURS}",
    "default_reward": "expected an object, as JSON or as a Python dict",
    **dict.fromkeys(SCRIPTS, "expected text: a Python script"),
}
_validator = Draft202012Validator(EXPERIMENT)


def draft_of(body: Mapping[str, Any]) -> tuple[ExperimentSpec, str]:
    """Return the experiment that a body describes, and the note on it; ``InvalidParameter`` names what is wrong."""
    known = {name: _natural(name, body[name]) for name in EXPERIMENT["properties"] if name in body}
    for error in sorted(_validator.iter_errors(known), key=lambda error: error.validator == "if"):
        raise _refusal(error.validator, error.message, [str(part) for part in error.absolute_path])
    if "default_reward" in known:
        json_object("default_reward", known["default_reward"])
    if "\0" in known["name"] or not known["name"].isprintable():
        raise InvalidParameter("name", "expected text without control characters")
    note = known.pop("note", "")
    return ExperimentSpec(**known), note


def _refusal(validator: str, message: str, path: list[str]) -> InvalidParameter:
    if validator == "required":
        name = message.split("'")[1]
        when = "" if name == "name" else ", as advice_id is true"
        return InvalidParameter(name, f"is missing{when}; {_EXPECTED[name]}")
    return InvalidParameter(path[0], _EXPECTED[path[0]])


def _natural(name: str, value: Any) -> Any:
    """Convert the text of old clients to the type of the property; return anything else unchanged."""
    if value is None:
        return {"delta_hours": 0, "default_reward": {}, "advice_id": False, "hourly_theta": False}.get(name, "")
    if name in ("advice_id", "hourly_theta") and isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else value
    if name == "delta_hours" and isinstance(value, str):
        return _number(value)
    if name == "default_reward" and isinstance(value, str):
        return _literal(value)
    return value


def _number(value: str) -> Any:
    try:
        hours = float(value) if value.strip() else 0
    except ValueError:
        return value
    return hours if math.isfinite(hours) else value


def _literal(value: str) -> Any:
    """Read a JSON object or a Python dict literal; return any other text unchanged."""
    if not value.strip():
        return {}
    try:
        return json_object("default_reward", value)
    except InvalidParameter:
        try:
            return ast.literal_eval(value) if len(value) < 10_000 else value
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return value


def experiment_row(experiment: Experiment) -> dict[str, Any]:
    """All properties of an experiment, flat; the default reward as JSON text, which old clients show and send back."""
    properties = {name: value for name, value in vars(experiment).items() if name not in ("id", "owner")}
    return {
        **properties,
        "id": experiment.id,
        "user_id": experiment.owner,
        "created": experiment.created.isoformat(),
        "default_reward": json.dumps(experiment.default_reward),
    }


def created_row(experiment: Experiment) -> dict[str, Any]:
    """The answer to a creation."""
    return {"id": experiment.id, "name": experiment.name, "key": experiment.key, "error": False}


def default_row(default: Template) -> dict[str, Any]:
    """A ready-made experiment."""
    return {
        "name": default.title,
        **default.scripts,
        **default.options,
        "summary": default.summary,
        "references": list(default.references),
        "expected_reward": default.expected_reward,
    }


def action_answer(answer: ActionAnswer, debug: bool) -> dict[str, Any]:
    """The answer to getaction."""
    row: dict[str, Any] = {"action": answer.action}
    if answer.advice_id is not None:
        row["advice_id"] = answer.advice_id
    if debug:
        row["context"] = answer.context | ({"_debug": answer.debug} if answer.debug else {})
    return row


def reward_answer(answer: RewardAnswer, debug: bool) -> dict[str, Any]:
    """The answer to setreward."""
    row: dict[str, Any] = {"status": "success"}
    if answer.duplicate:
        row["duplicate"] = True
    if debug:
        row |= {"action": answer.action, "context": answer.context, "reward": answer.reward}
    return row


def summary_row(summary: Summary) -> dict[str, Any]:
    """Counts, and dates in ISO 8601 or null."""
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in vars(summary).items()}


ACTION_COLUMNS = (
    "date", "context", "action", "propensity", "advice_id", "request_id", "revision", "seq", "epoch", "seed", "status",
)  # fmt: skip
REWARD_COLUMNS = (
    "date", "seq", "context", "action", "reward", "advice_id", "request_id", "default", "revision", "seed",
)  # fmt: skip
DECISION_COLUMNS = (
    "date", "context", "action", "propensity", "status", "reward", "delay", "revision", "seq", "advice_id",
)  # fmt: skip
ERROR_COLUMNS = ("date", "script", "line", "message", "source", "revision")


def action_row(row: Decision) -> dict[str, Any]:
    """A row of the action log; with its seed, revision and seq the decision can be made again."""
    shown = _shown(row, ACTION_COLUMNS)
    if row.status != "logged":
        shown["advice_id"] = row.id
    return {**shown, "seed": seed_of("getaction", row.id)}


def reward_row(row: Reward) -> dict[str, Any]:
    """A row of the reward log; ``default`` only where it is the default reward of a time-out."""
    shown = _shown(row, REWARD_COLUMNS) | {"seed": seed_of("setreward", row.id)}
    if not shown.get("default", True):
        del shown["default"]
    return shown


def decision_row(row: RewardedDecision) -> dict[str, Any]:
    """A decision with its reward; ``delay`` is how many seconds that took to come. Null where there is none."""
    shown = action_row(row.decision) | {"reward": row.reward and row.reward.reward, "delay": row.delay}
    return {column: shown.get(column) for column in DECISION_COLUMNS}


def log_row(row: LogRow) -> dict[str, Any]:
    """What a script logged, with its date. A field ``date`` of the script's is named ``logged_date``.

    >>> from datetime import datetime
    >>> log_row(LogRow("1", "2", datetime(2026, 1, 2), "3", {"n": 1, "date": "today"}))
    {'date': '2026-01-02T00:00:00', 'n': 1, 'logged_date': 'today'}
    """
    own = "date"
    while own in row.data:
        own = f"logged_{own}"
    data = {own if name == "date" else name: value for name, value in row.data.items()}
    return {"date": row.date.isoformat(), **data}


def error_row(row: ErrorRow) -> dict[str, Any]:
    """A failure of a script; line and source are null where there is none, as after a time-out."""
    return {**dict.fromkeys(ERROR_COLUMNS), **_shown(row, ERROR_COLUMNS)}


def snapshot_row(row: ThetaSnapshot) -> dict[str, Any]:
    """Theta as it was."""
    return _shown(row, ("date", "theta"))


def revision_row(row: RevisionListItem) -> dict[str, Any]:
    """A revision, with its scripts where they were read."""
    saved = vars(row.spec) if isinstance(row, Revision) else {}
    return {
        **saved,
        "revision": row.revision,
        "date": row.date.isoformat(),
        "user": row.user,
        "note": row.note,
    }


def _shown(row: Any, columns: tuple[str, ...]) -> dict[str, Any]:
    """The attributes of these names that the row has, but those that are None; its date in ISO 8601."""
    values = {column: getattr(row, column, None) for column in columns}
    return {column: value for column, value in values.items() if value is not None} | {"date": row.date.isoformat()}


RUN_COLUMNS = ("date", "run", "status", "done", "n", "seed", "repeat", "start", "commit", "log_stats", "revision")
_REGRET = ("regret", "regret_low", "regret_high", "regret_median", "regret_q05", "regret_q95")
_MAX_EXPECTED = 1_000
_DRAW = ("context", "action", "reward", "theta")


def plan_of(given: dict[str, Any]) -> tuple[Plan, bool]:
    """Return the simulation that a caller asks for, and whether to show all draws. ``N`` may be called ``n``."""
    sizes = given | {"N": given["N"] if "N" in given else given.get("n")}
    numbers: dict[str, Any] = {
        field: whole(name, sizes[name], least, most)
        for field, name, least, most in (
            ("n", "N", 1, MAX_DRAWS),
            ("repeat", "repeat", 1, MAX_REPEATS),
            ("seed", "seed", -(2**63), 2**63 - 1),
        )
        if sizes.get(name) not in (None, "")
    }
    start = given.get("start") or "empty"
    if start not in ("empty", "current"):
        raise InvalidParameter("start", "expected empty or current")
    commit, log_stats = _truth("commit", given), _truth("log_stats", given)
    expected = _expected(given.get("expected"))
    plan = Plan(**numbers, current=start == "current", commit=commit, log_stats=log_stats, expected=expected)
    return plan, _truth("verbose", given, True)


def _expected(given: Any) -> dict[str, float]:
    """Return the expected reward by arm; empty if none are given."""
    sound = isinstance(given, dict) and len(given) <= _MAX_EXPECTED
    if given is not None and not (sound and all(_is_number(value) for value in given.values())):
        raise InvalidParameter(
            "expected", f"expected an object with a number for each arm, and at most {_MAX_EXPECTED:,} of them"
        )
    return {name: float(value) for name, value in (given or {}).items()}


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def _truth(name: str, given: dict[str, Any], default: bool = False) -> bool:
    value = given.get(name, default)
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, bool):
        return word
    if not isinstance(word, str) or word not in _TRUE | _FALSE:
        raise InvalidParameter(name, "expected True or False")
    return word in _TRUE


def simulation_start(exp_id: str, plan: Plan) -> bytes:
    """The beginning of the answer to simulate; its draws, its theta and its end follow."""
    return json.dumps({"experiment": exp_id, "seed": plan.seed, "N": plan.n}).encode()[:-1]


def draw_row(row: list[dict[str, Any]]) -> dict[str, Any]:
    """One draw of a simulation."""
    return dict(zip(_DRAW, row, strict=True))


def run_row(row: StoredRun) -> dict[str, Any]:
    """A simulation as it stands; ``series`` and ``theta`` where they were read."""
    results = {name: getattr(row.results, name) for name in _REGRET}
    shown = {"run": row.id, **_shown(row, RUN_COLUMNS), **results, "theta": row.theta, "error": row.error}
    shown = {name: value for name, value in shown.items() if value is not None}
    if row.expected:
        shown["expected"] = row.expected
    if row.logged:
        shown["file"] = row.id  # its draws, under /files
    shown["arms"] = row.results.arms
    if row.results.series is not None:
        shown["series"] = row.results.series
    return shown
