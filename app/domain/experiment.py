"""An experiment: its four scripts, how it treats advices, who owns it, and its head."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SCRIPTS = ("get_context", "get_action", "get_reward", "set_reward")
# States of a head.
LIVE = "live"
DELETING = "deleting"


@dataclass(frozen=True)
class ExperimentSpec:
    """What a researcher may choose of an experiment."""

    name: str
    get_context: str = ""
    get_action: str = ""
    get_reward: str = ""
    set_reward: str = ""
    hourly_theta: bool = False
    advice_id: bool = False
    delta_hours: float = 0.0
    default_reward: dict[str, Any] = field(default_factory=dict)

    @property
    def scripts(self) -> dict[str, str]:
        """The four scripts by name."""
        return {name: getattr(self, name) for name in SCRIPTS}


@dataclass(frozen=True, kw_only=True)
class Experiment(ExperimentSpec):
    """A draft that became real; ``revision`` counts its edits from 1."""

    id: str
    key: str
    owner: str
    created: datetime
    revision: int = 1


@dataclass(frozen=True)
class ExperimentListItem:
    """An experiment as a list shows it, without its scripts."""

    id: str
    name: str
    created: datetime
    has_policy: bool


@dataclass(frozen=True)
class Head:
    """The one document that orders an experiment's commits; see ``app.engine.runtime``."""

    exp_id: str
    seq: int
    epoch: int
    revision: int
    state: str
    rewards: int = 0
    last_reward: datetime | None = None

    @property
    def place(self) -> tuple[int, int, int]:
        """What a commit must find unchanged: seq, epoch and revision."""
        return self.seq, self.epoch, self.revision
