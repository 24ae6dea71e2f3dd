"""The calls that change an experiment, and their answers: the same objects from the handler to the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ActionRequest:
    """A getaction. ``size`` is about how many bytes the call holds while it waits.

    Whoever repeats a call under the same ``request_id`` within a day gets the first call's decision; with another
    context the id is refused.
    """

    context: dict[str, Any]
    request_id: str | None = None
    size: int = 0


@dataclass(frozen=True)
class ActionAnswer:
    """The answer to getaction: ``advice_id`` where the experiment gives advices; ``debug`` is what scripts showed."""

    action: dict[str, Any]
    context: dict[str, Any]
    advice_id: str | None
    debug: list[Any]


@dataclass(frozen=True)
class RewardRequest:
    """A setreward: for an advice, whose context and action are looked up, or for a context and an action.

    ``default`` marks the default reward of an advice that timed out; ``request_id`` and ``size`` as above.
    """

    reward: dict[str, Any]
    advice_id: str | None = None
    context: dict[str, Any] | None = None
    action: dict[str, Any] | None = None
    request_id: str | None = None
    size: int = 0
    default: bool = False


@dataclass(frozen=True)
class RewardAnswer:
    """The answer to setreward; ``duplicate`` if the same reward had been accepted before."""

    context: dict[str, Any]
    action: dict[str, Any]
    reward: dict[str, Any]
    duplicate: bool = False
