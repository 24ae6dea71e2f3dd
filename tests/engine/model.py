"""What the engine must look like from outside: a single server that takes one call after the other.

``Sequential`` holds an experiment as such a server would. It runs the same scripts, in this process, on thetas in a
dict, and keeps every state it has been in, so that an answer can be held against the state that it was given from.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from app.domain.experiment import Experiment
from app.domain.ids import seed_of

Key = tuple[str, str | None, str | None]


class Raised(Exception):
    """The script raised."""


@dataclass(frozen=True)
class State:
    """An experiment after a commit: its thetas with the seq that wrote each (``None``: deleted), and its scripts."""

    seq: int = 0
    epoch: int = 1
    revision: int = 1
    thetas: dict[Key, tuple[dict[str, Any] | None, int]] = field(default_factory=dict)


@dataclass
class Ran:
    """What a script did."""

    action: dict[str, Any]
    writes: dict[Key, dict[str, Any] | None]
    logs: list[dict[str, Any]]
    nested: dict[str, dict[Key, dict[str, Any] | None]]


class Sequential:
    """An experiment of one server without concurrency."""

    def __init__(self, experiment: Experiment) -> None:
        self.id = experiment.id
        self.scripts = {1: experiment.scripts}
        self.states = {0: State()}

    @property
    def now(self) -> State:
        """The newest state."""
        return self.states[max(self.states)]

    def move(self, **changes: Any) -> State:
        """One commit more."""
        state = State(**{**vars(self.now), **changes, "seq": self.now.seq + 1})
        self.states[state.seq] = state
        return state

    def write(self, writes: dict[Key, dict[str, Any] | None]) -> State:
        """A commit that changes thetas."""
        seq = self.now.seq + 1
        return self.move(thetas={**self.now.thetas, **{key: (theta, seq) for key, theta in writes.items()}})

    def reset(self, key: str | None, value: str | None) -> int:
        """Forget all thetas, or those of a key, or one; how many there were."""
        there = [name for name, (theta, _) in self.now.thetas.items() if theta is not None]
        if key is None:
            self.move(thetas={}, epoch=self.now.epoch + 1)
            return len(there)
        doomed = [name for name in there if name[1] == key and value in (None, name[2])]
        self.write(dict.fromkeys(doomed))
        return len(doomed)


def decide(world: dict[str, Sequential], exp_id: str, state: State, context: dict[str, Any], row: str) -> Ran:
    """What get_action does in that state; ``row`` is the id that its draws are seeded from."""
    return _run(world, {exp_id: state}, "get_action", exp_id, seed_of("getaction", row), context, {}, {})


def learn(
    world: dict[str, Sequential],
    states: dict[str, State],
    exp_id: str,
    context: dict[str, Any],
    action: dict[str, Any],
    reward: dict[str, Any],
) -> Ran:
    """What set_reward does in those states of the experiment and of the one that it calls."""
    return _run(world, states, "set_reward", exp_id, 0, context, action, reward)


def _run(
    world: dict[str, Sequential],
    states: dict[str, State],
    script: str,
    exp_id: str,
    seed: int,
    context: dict[str, Any],
    action: dict[str, Any],
    reward: dict[str, Any],
) -> Ran:
    call = _Call(world, states)
    seen = _Self(call, exp_id, context, dict(action), reward)
    call.names["random"] = random.Random(seed)
    try:
        exec(world[exp_id].scripts[states[exp_id].revision][script], {"self": seen, **call.names})
    except Exception as error:
        raise Raised from error
    writes = call.writes
    return Ran(seen.action, writes.pop(exp_id, {}), call.logs, writes)


class _Call:
    """One run of a script and of those that it calls."""

    def __init__(self, world: dict[str, Sequential], states: dict[str, State]) -> None:
        self.world = world
        self.states = states
        self.writes: dict[str, dict[Key, dict[str, Any] | None]] = {}
        self.logs: list[dict[str, Any]] = []
        self.names: dict[str, Any] = {"Experiment": lambda exp_id: _Nested(self, exp_id)}

    def thetas(self, exp_id: str) -> dict[Key, dict[str, Any]]:
        """Those that are there."""
        held = {key: theta for key, (theta, _) in self.states[exp_id].thetas.items()} | self.writes.get(exp_id, {})
        return {key: theta for key, theta in held.items() if theta is not None}


class _Thetas:
    def __init__(self, call: _Call, exp_id: str) -> None:
        self._call = call
        self._exp_id = exp_id

    def get_theta(self, key: Any, value: Any = None, name: str = "_theta") -> dict[str, Any]:
        thetas = self._call.thetas(self._exp_id)
        if value is not None:
            return dict(thetas.get((name, str(key), str(value)), {}))
        return {str(of[2]): dict(theta) for of, theta in thetas.items() if of[:2] == (name, str(key))}

    def set_theta(self, theta: dict[str, Any], key: Any, value: Any, name: str = "_theta") -> None:
        self._call.writes.setdefault(self._exp_id, {})[(name, str(key), str(value))] = theta

    def delete_theta(self, key: Any, value: Any, name: str = "_theta") -> None:
        if (name, str(key), str(value)) in self._call.thetas(self._exp_id):
            self._call.writes.setdefault(self._exp_id, {})[(name, str(key), str(value))] = None


class _Self(_Thetas):
    def __init__(self, call: _Call, exp_id: str, context: Any, action: Any, reward: Any) -> None:
        super().__init__(call, exp_id)
        self.context, self.action, self.reward = context, action, reward

    def log_data(self, data: dict[str, Any]) -> None:
        self._call.logs.append(data)


class _Nested(_Thetas):
    def run_reward_code(self, context: Any, action: Any, reward: Any) -> None:
        source = self._call.world[self._exp_id].scripts[self._call.states[self._exp_id].revision]["set_reward"]
        seen = _Self(self._call, self._exp_id, context, action, reward)
        exec(source, {"self": seen, **self._call.names})
