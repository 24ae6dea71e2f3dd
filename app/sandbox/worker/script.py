"""What a script sees: ``self`` and ``Experiment``, over the layers of theta that the worker holds.

The writes of a call stay in a layer of their own until it has succeeded, so that a script that raises has no effect.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import msgspec
import numpy as np
import scipy
import scipy.special

from app.domain.theta import joined
from app.domain.values import fault
from app.sandbox.protocol import (
    ITEM_VALUES,
    NAME_LIMIT,
    PRINT_LIMIT,
    ROW_LIMIT,
    ROWS,
    THETA_LIMIT,
    WRITES,
    Entry,
    RangeName,
)
from app.sandbox.value_count import values_in
from app.sandbox.worker.imports import SCRIPT_BUILTINS
from app.sandbox.worker.to_json import Kept, NotStorable, cleaned, floated, fresh, is_flat, kept, kept_row, packed
from policies import SCRIPT_NAMES

NESTING_LIMIT = 5
TOO_WIDE = "get_theta would return more thetas than theta.range_max allows; ask for fewer"
# What a script finds without an import: the modules, and beside them what ``execute`` gives it.
OWN_NAMES = ("self", "Experiment", "__name__", "__builtins__")
MODULES: dict[str, Any] = {
    "np": np,
    "numpy": np,
    "random": random,
    "math": math,
    "scipy": scipy,
    "sp": scipy,
    **SCRIPT_NAMES,
}

Values = dict[str | None, Kept | None]
Keys = dict[str | None, Values]
_REMEMBERED = 10_000
_SHORT_NAMES = 1_000  # characters of three names that are remembered
_known_names: set[tuple[str, str | None, str | None]] = set()
_encode = msgspec.msgpack.Encoder().encode


class Miss(BaseException):
    """Raised in a script that reads what the worker does not hold; the server sends it and runs the script again."""


class Layer:
    """Thetas by (experiment, name), key and value; ``None`` stands for "there is none"."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], Keys] = {}

    def put(self, exp_id: str, name: str, key: str | None, value: str | None, theta: Kept | None) -> None:
        """Set one theta."""
        self.names.setdefault((exp_id, name), {}).setdefault(key, {})[value] = theta

    def find(self, exp_id: str, name: str, key: str | None, value: str | None) -> tuple[Kept | None] | None:
        """Return the theta in a tuple, or None if this layer does not have it."""
        values = self.names.get((exp_id, name), {}).get(key)
        return (values[value],) if values is not None and value in values else None

    def overlay(
        self, found: dict[str | None, Values], exp_id: str, name: str, key: str | None, every_key: bool
    ) -> None:
        """Replace, in ``found``, the thetas of a range that this layer has."""
        keys = self.names.get((exp_id, name), {})
        for one in list(keys) if every_key else [key]:
            if one in keys:
                found.setdefault(one, {}).update(keys[one])

    def merge(self, other: Layer) -> None:
        """Add all thetas of the other layer, which replace those of this one."""
        for (exp_id, name), keys in other.names.items():
            for key, values in keys.items():
                self.names.setdefault((exp_id, name), {}).setdefault(key, {}).update(values)

    def entries(self) -> Iterator[Entry]:
        """Return all thetas of this layer, one by one."""
        for (exp_id, name), keys in self.names.items():
            for key, values in keys.items():
                for value, theta in values.items():
                    yield Entry(exp_id, name, key, value, None if theta is None else packed(theta))


class Holdings:
    """What a worker holds: committed thetas, those that wait to be settled, complete ranges, and programs."""

    def __init__(self) -> None:
        self.base = Layer()
        self.waiting = Layer()
        self.complete: set[RangeName] = set()
        self.too_wide: set[RangeName] = set()
        self.programs: dict[str, dict[str, CodeType] | None] = {}

    def clear(self) -> None:
        """Forget every committed theta."""
        self.base = Layer()
        self.complete, self.too_wide = set(), set()

    def settle(self, committed: bool) -> None:
        """Add the waiting thetas to the committed ones, or drop them."""
        if committed:
            self.base.merge(self.waiting)
        self.waiting = Layer()


class ScriptCall:
    """One run of a script and of the nested ones it calls: its writes, its log rows, what was missing."""

    def __init__(self, holdings: Holdings, sees_waiting: bool) -> None:
        self.holdings = holdings
        self.layers = [holdings.base, holdings.waiting] if sees_waiting else [holdings.base]
        self.writes = Layer()
        self.written = 0
        self.layers.append(self.writes)
        self.range_max: int | None = None
        self.logs: list[dict[str, Any]] = []
        self.debug: list[Any] = []
        self.printed = ""
        self.touched: set[str] = set()
        self.missing_thetas: list[tuple[str, str, str | None, str | None]] = []
        self.missing_ranges: list[RangeName] = []
        self.missing_programs: list[str] = []
        self.depth = 0

    @property
    def missed(self) -> bool:
        """Whether anything was missing: then the run is void, whatever the script did afterwards."""
        return bool(self.missing_thetas or self.missing_ranges or self.missing_programs)

    def one(self, exp_id: str, name: str, key: str | None, value: str | None) -> Kept | None:
        """Return one theta, None if there is none; raises ``Miss`` if the worker does not hold it."""
        self.touched.add(exp_id)
        for layer in reversed(self.layers):
            found = layer.find(exp_id, name, key, value)
            if found:
                return found[0]
        if not self._whole(exp_id, name, key):
            self.missing_thetas.append((exp_id, name, key, value))
            raise Miss
        return None

    def range(self, exp_id: str, name: str, key: str | None, every_key: bool) -> Keys:
        """Return all thetas under a key, or under every key; raises ``Miss`` if the worker does not hold them all."""
        self.touched.add(exp_id)
        wanted = (exp_id, name, None if every_key else key)
        if wanted in self.holdings.too_wide:
            raise NotStorable(TOO_WIDE)
        if not self._whole(*wanted):
            self.missing_ranges.append(wanted)
            raise Miss
        found: Keys = {}
        for layer in self.layers:
            layer.overlay(found, exp_id, name, key, every_key)
        whole: Keys = {}
        for one, values in found.items():
            present: Values = {value: theta for value, theta in values.items() if theta is not None}
            if present:
                whole[one] = present
        if self.range_max is not None and sum(map(len, whole.values())) > self.range_max:
            raise NotStorable(TOO_WIDE)
        return whole

    def write(self, exp_id: str, name: str, key: str | None, value: str | None, theta: Kept | None) -> None:
        """Set one theta in this call's own layer; None deletes it."""
        self.touched.add(exp_id)
        self.written += 1
        if self.written > WRITES:
            raise NotStorable(f"a call may write {WRITES:,} thetas")
        self.writes.put(exp_id, name, key, value, theta)

    def print(
        self, *values: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: Any = 0
    ) -> None:
        """The ``print`` of scripts: keep the first ``PRINT_LIMIT`` characters, which a trial shows."""
        if file is not None:
            print(*values, sep=sep, end=end, file=file)
            return
        text = (" " if sep is None else sep).join(map(str, values)) + ("\n" if end is None else end)
        room = PRINT_LIMIT - len(self.printed)
        self.printed += text[:room].encode("utf-8", "replace").decode()

    def program(self, exp_id: str) -> dict[str, CodeType]:
        """Return the compiled scripts of a nested experiment; raises ``Miss``, or ``LookupError`` if there is none."""
        if exp_id not in self.holdings.programs:
            self.missing_programs.append(exp_id)
            raise Miss
        program = self.holdings.programs[exp_id]
        if program is None:
            raise LookupError(f"there is no experiment {exp_id!r} of this owner")
        return program

    def _whole(self, exp_id: str, name: str, key: str | None) -> bool:
        complete = self.holdings.complete
        return (exp_id, name, key) in complete or (exp_id, name, None) in complete


class ScriptThetas:
    """The theta methods that ``self`` and ``Experiment`` share."""

    def __init__(self, call: ScriptCall, exp_id: str) -> None:
        self._call = call
        self.exp_id = exp_id

    def get_theta(
        self, key: Any = None, value: Any = None, name: Any = "_theta", all_float: bool = False
    ) -> dict[str, Any]:
        """Return the theta of a key and value; of all values of a key; or of all keys."""
        name, key, value = _named("get_theta", name, key, value)
        if value is not None:
            theta = self._call.one(self.exp_id, name, key, value)
            found = {} if theta is None else fresh(theta)
        elif key is not None:
            found = _by_value(self._call.range(self.exp_id, name, key, False).get(key, {}))
        else:
            found = _by_key(self._call.range(self.exp_id, name, None, True))
        return floated(found, "get_theta") if all_float else found

    def set_theta(self, thetas: Any, key: Any = None, value: Any = None, name: Any = "_theta") -> None:
        """Store a dict, or what an object's ``get_dict()`` gives, as the theta of a key and value."""
        content = thetas.get_dict() if not isinstance(thetas, dict) and hasattr(thetas, "get_dict") else thetas
        # Only finite numbers: a NaN would stay in theta and turn every later estimate into NaN.
        theta = content.copy() if is_flat(content) else kept(content, "set_theta")
        if type(theta) is bytes:
            _require_small(theta)
        name, key, value = _named("set_theta", name, key, value)
        self._call.write(self.exp_id, name, key, value, theta)

    def delete_theta(self, key: Any = None, value: Any = None, name: Any = "_theta") -> int:
        """Delete what ``get_theta`` with the same arguments would return; how many there were."""
        name, key, value = _named("delete_theta", name, key, value)
        if value is not None:
            there = self._call.one(self.exp_id, name, key, value) is not None
            to_delete = {key: [value]} if there else {}
        else:
            found = self._call.range(self.exp_id, name, key, key is None)
            to_delete = {one: list(values) for one, values in found.items()}
        for one, values in to_delete.items():
            for each in values:
                self._call.write(self.exp_id, name, one, each, None)
        return sum(map(len, to_delete.values()))


def _require_small(theta: bytes) -> None:
    if len(theta) > THETA_LIMIT:
        raise NotStorable(f"set_theta: a theta may hold {THETA_LIMIT >> 20} MiB, this one has {len(theta):,} bytes")
    if len(theta) > ITEM_VALUES and (values := values_in(fresh(theta))) > ITEM_VALUES:
        raise NotStorable(f"set_theta: a theta may hold {ITEM_VALUES:,} values, this one has {values:,}")


class Self(ScriptThetas):
    """The ``self`` of a script."""

    def __init__(self, call: ScriptCall, exp_id: str, context: Any, action: Any, reward: Any) -> None:
        self._call = call
        self.exp_id = exp_id
        self.context = context
        self.action = action
        self.reward = reward

    def log_data(self, data: Any) -> None:
        """Add a dict to the experiment's manual log."""
        row = fresh(kept_row(data, "log_data"))
        if len(self._call.logs) >= ROWS:
            raise NotStorable(f"log_data: a call may log {ROWS:,} rows")
        self._call.logs.append(row)

    def debug(self, data: Any) -> None:
        """Show a value in the debug answer, under ``_debug``."""
        row = cleaned(data, "debug")
        if len(self._call.debug) >= ROWS or len(_encode(row)) > ROW_LIMIT:
            raise NotStorable(f"debug: a call may show {ROWS:,} values of {ROW_LIMIT >> 10} KiB each")
        self._call.debug.append(row)


def execute(call: ScriptCall, code: CodeType, seen: Self) -> None:
    """Run one script with fresh globals and builtins."""
    names = names_for(call)
    names["self"] = seen
    exec(code, names)


def names_for(call: ScriptCall) -> dict[str, Any]:
    """Return the global names of a script, without ``self``, with fresh builtins."""
    names = MODULES.copy()
    names["__builtins__"] = SCRIPT_BUILTINS | {"print": call.print}
    names["__name__"] = "script"
    names["Experiment"] = _opener(call)
    return names


def _opener(call: ScriptCall) -> Callable[..., Nested]:
    def open_experiment(exp_id: Any) -> Nested:
        return Nested(call, exp_id)

    return open_experiment


class Nested(ScriptThetas):
    """``Experiment(exp_id)`` in a script: another experiment of the same owner, run inside this call."""

    def __init__(self, call: ScriptCall, exp_id: Any) -> None:
        super().__init__(call, _named("Experiment", exp_id, None, None)[0])
        self._program = call.program(self.exp_id)

    def run_context_code(self, context: Any = None) -> Any:
        """Run its get_context; the context it filled."""
        return self._run("get_context", _fresh(context), {}, {}).context

    def run_action_code(self, context: Any, action: Any = None) -> Any:
        """Run its get_action; the action it filled."""
        return self._run("get_action", context, _fresh(action), {}).action

    def run_get_reward_code(self, context: Any, action: Any, reward: Any = None) -> Any:
        """Run its get_reward; the reward it filled."""
        return self._run("get_reward", context, action, _fresh(reward)).reward

    def run_reward_code(self, context: Any, action: Any, reward: Any) -> None:
        """Run its set_reward, which updates its theta."""
        self._run("set_reward", context, action, reward)

    def _run(self, script: str, context: Any, action: Any, reward: Any) -> Self:
        if self._call.depth >= NESTING_LIMIT:
            raise RecursionError(f"experiments may be nested {NESTING_LIMIT} deep")
        seen = Self(self._call, self.exp_id, context, action, reward)
        self._call.touched.add(self.exp_id)
        self._call.depth += 1
        try:
            execute(self._call, self._program[script], seen)
        finally:
            self._call.depth -= 1
        return seen


def _fresh(given: Any) -> Any:
    return {} if given is None else given


def _named(method: str, name: Any, key: Any, value: Any) -> tuple[str, str | None, str | None]:
    """Return the three names of a theta as text; ``method`` is named in the error."""
    given = (name, key, value)
    # Other types might compare equal to text and yet be another text.
    familiar = type(name) is str and (key is None or type(key) is str) and (value is None or type(value) is str)
    if familiar and given in _known_names:
        return given
    for part in (texts := [str(name), None if key is None else str(key), None if value is None else str(value)]):
        if part is not None and (len(part) > NAME_LIMIT or (not part.isascii() and fault(part))):
            raise NotStorable(f"{method}: name, key and value must be text of at most {NAME_LIMIT:,} characters")
    named = (str(texts[0]), texts[1], texts[2])
    if familiar and sum(map(len, filter(None, named))) <= _SHORT_NAMES:
        if len(_known_names) >= _REMEMBERED:
            _known_names.clear()
        _known_names.add(named)
    return named


def _by_value(values: Values) -> dict[str, Any]:
    """Return the theta itself if the only one has no value, else the thetas by value."""
    if len(values) == 1 and None in values:
        return fresh(values[None] or {})
    return {
        value or "": theta.copy() if type(theta) is dict else fresh(theta)
        for value, theta in values.items()
        if theta is not None
    }


def _by_key(keys: Keys) -> dict[str, Any]:
    """Return the theta itself if the only one has no key, else the thetas by ``key:value``."""
    if len(keys) == 1 and None in keys and len(keys[None]) == 1 and None in keys[None]:
        return _by_value(keys[None])
    return {
        joined(key, value): fresh(theta)
        for key, values in keys.items()
        for value, theta in values.items()
        if theta is not None
    }
