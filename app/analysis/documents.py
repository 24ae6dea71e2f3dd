"""Analyses of rows by options in JSON: what the API and the command line share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from app.analysis.audit.audit import AuditResult, audit
from app.analysis.checks.checks import CheckOptions, ChecksResult, check
from app.analysis.inference.infer import InferenceResult, infer
from app.analysis.inference.options import InferenceOptions
from app.analysis.ope.candidate import Target, candidate_of, table_entries
from app.analysis.ope.evaluate import OffPolicyResult, Origin, evaluate
from app.analysis.ope.options import OffPolicyOptions
from app.analysis.options import known, options_of
from app.analysis.reading import Reading, ReadOptions, read
from app.analysis.rows import JoinedRow

_READ = [field.name.rstrip("_") for field in fields(ReadOptions)]


def offpolicy_document(rows: Sequence[JoinedRow], body: Mapping[str, Any]) -> OffPolicyResult:
    """An off-policy evaluation of rows.

    ``candidate`` is ``{"policy": "uniform"}``, ``{"arm": X}``, ``{"table": [...]}``, or ``{"given": true}`` where every
    row has the candidate's probabilities. Raises ValueError that names the option.
    """
    if "candidate" not in body:
        raise ValueError('candidate: is missing: {"policy": "uniform"}, {"arm": NAME} or {"table": [...]}')
    reading_options, rest = _split(body, OffPolicyOptions, ("candidate",))
    options = options_of(OffPolicyOptions, rest | _default_reward(reading_options))
    found = read(rows, reading_options, {*options.features, *_table_fields(body["candidate"])})
    return evaluate(found.log, _target(body["candidate"], found), options, _origin(found))


def inference_document(rows: Sequence[JoinedRow], body: Mapping[str, Any]) -> InferenceResult:
    """Inference on the arms of rows; raises ValueError that names the option."""
    reading_options, rest = _split(body, InferenceOptions)
    options = options_of(InferenceOptions, rest | _default_reward(reading_options))
    found = _fine(read(rows, reading_options, options.features))
    return infer(found.log, options, found.excluded)


def checks_document(rows: Sequence[JoinedRow], body: Mapping[str, Any]) -> ChecksResult:
    """The checks of rows; raises ValueError that names the option."""
    reading_options, rest = _split(body, CheckOptions)
    options = options_of(CheckOptions, rest)
    found = _fine(read(rows, reading_options))
    return check(found.log, options, arrived=found.arrived, excluded=found.excluded)


def audit_document(rows: Sequence[JoinedRow], body: Mapping[str, Any]) -> AuditResult:
    """What an audit can tell from rows alone: nothing is run again. Raises ValueError that names the option."""
    known(body, _READ)
    found = read(rows, _reading_options(body))
    return audit(found.log, impossible=found.excluded.get("zero_propensity", 0))


def _split(body: Mapping[str, Any], kind: type, more: Iterable[str] = ()) -> tuple[ReadOptions, dict[str, Any]]:
    """The options of reading, and the rest."""
    own = [field.name for field in fields(kind) if field.name != "default_reward"]
    known(body, [*more, *own, *_READ])
    return _reading_options(body), {name: value for name, value in body.items() if name in own}


def _reading_options(body: Mapping[str, Any]) -> ReadOptions:
    # `from` is a keyword of the language, so the field has an underscore.
    return options_of(ReadOptions, {"from_" if name == "from" else name: body[name] for name in _READ if name in body})


def _default_reward(options: ReadOptions) -> dict[str, Any]:
    return {"default_reward": options.reward.default}


def _table_fields(candidate: Any) -> set[str]:
    entries = candidate.get("table") if isinstance(candidate, Mapping) else None
    return set() if entries is None else {name for when, _ in table_entries(entries) for name in when}


def _target(candidate: Any, found: Reading) -> Target:
    if candidate != {"given": True}:
        return candidate_of(candidate, found.log)
    if found.candidate is None:
        raise ValueError("candidate: given needs the candidate's probabilities in every row, as candidate: {ARM: p}")
    return Target.of(found.candidate, found.log)


def _fine(found: Reading) -> Reading:
    """The reading, if propensities are those of its arms."""
    if found.coarse:
        raise ValueError("action_key: several actions share a value of it, and no pmf says how likely the value is")
    return found


def _origin(found: Reading) -> Origin:
    return Origin(found.excluded, found.defaults, found.coarse, pmf_missing=found.pmf_missing)
