"""A trial of an experiment: what is to be tried, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.domain.theta import ThetaKey

Writes = dict[ThetaKey, bytes | None]


@dataclass(frozen=True)
class Trial:
    """What to try: ``run`` of these ``scripts``, on the live theta or, with ``empty``, on none.

    ``context``, ``action`` and ``reward`` are what the scripts that are not run would have filled, and ``writes`` what
    an earlier part of the visit wrote.
    """

    run: tuple[str, ...]
    seed: int
    scripts: dict[str, str] = field(default_factory=dict)
    empty: bool = False
    context: dict[str, Any] = field(default_factory=dict)
    action: dict[str, Any] = field(default_factory=dict)
    reward: dict[str, Any] = field(default_factory=dict)
    writes: Writes = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A theta that was written: what it was, and what it would be; None where there is none."""

    key: ThetaKey
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Failure:
    """What is wrong with a script; ``column`` and ``line``, counted from 1, where they are known."""

    script: str
    message: str
    line: int | None = None
    column: int | None = None
    source: str | None = None


@dataclass
class Tried:
    """What came of a trial. ``before`` and ``after`` are the whole theta, or None where that is too much to show.

    ``done`` are the scripts that ran to their end, and ``writes`` what there was before ``set_reward`` wrote.
    """

    context: dict[str, Any]
    action: dict[str, Any]
    reward: dict[str, Any]
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    changes: list[Change] = field(default_factory=list)
    unshown: int = 0  # more changes, which are too many or too large to show
    logs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    debug: list[tuple[str, Any]] = field(default_factory=list)
    printed: list[tuple[str, str]] = field(default_factory=list)
    writes: Writes = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    failed: Failure | None = None
