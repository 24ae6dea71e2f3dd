"""What one server believes about an experiment: its heads, and the thetas it has read or written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from app.domain.experiment import Experiment, Head
from app.domain.theta import ThetaKey
from app.sandbox.protocol import Entry, RangeName


@dataclass(frozen=True)
class View:
    """The experiment and the nested ones its scripts called, each with the head at which it was read."""

    exp_id: str
    experiments: dict[str, Experiment]
    heads: dict[str, Head]

    @property
    def experiment(self) -> Experiment:
        """The experiment itself."""
        return self.experiments[self.exp_id]

    @property
    def head(self) -> Head:
        """Its head."""
        return self.heads[self.exp_id]

    def agrees(self, other: View | None) -> bool:
        """Whether the other view has every head of this one at the same place."""
        return other is not None and all(
            exp_id in other.heads and other.heads[exp_id].place == head.place for exp_id, head in self.heads.items()
        )

    def moved(self, heads: Iterable[Head]) -> View:
        """The view with these heads in place of their older ones."""
        return replace(self, heads={**self.heads, **{head.exp_id: head for head in heads}})

    def joined_by(self, experiment: Experiment, head: Head) -> View:
        """The view with one more nested experiment."""
        return replace(
            self,
            experiments={**self.experiments, experiment.id: experiment},
            heads={**self.heads, head.exp_id: head},
        )


@dataclass(frozen=True)
class CachedTheta:
    """A theta as MessagePack, or None if there is none.

    ``stored`` says whether it has a document, if only a tombstone.
    """

    theta: bytes | None
    stored: bool


@dataclass
class CacheUsage:
    """How many bytes of theta all experiments of the process hold together."""

    size: int = 0


class ThetaCache:
    """Thetas at the view's heads. A worker holds a part of this and never more."""

    def __init__(self, ledger: CacheUsage) -> None:
        self.entries: dict[ThetaKey, CachedTheta] = {}
        self.complete: set[RangeName] = set()
        self.size = 0
        self._ledger = ledger

    def put(self, key: ThetaKey, held: CachedTheta) -> None:
        """Remember one theta."""
        self._grow(_size(key, held) - _size(key, self.entries.get(key)))
        self.entries[key] = held

    def add_range(self, wanted: RangeName) -> None:
        """Remember that every theta of a range is held."""
        if wanted not in self.complete:
            self._grow(_names_size(wanted))
            self.complete.add(wanted)

    def _grow(self, change: int) -> None:
        self.size += change
        self._ledger.size += change

    def get(self, key: ThetaKey) -> CachedTheta | None:
        """What is known of one theta; a key in a range known whole that is not there has none, or one deleted."""
        held = self.entries.get(key)
        if held is None and self.has_range((key.exp_id, key.name, key.key)):
            return CachedTheta(None, stored=False)
        return held

    def has_range(self, wanted: RangeName) -> bool:
        """Whether every theta of the range is held."""
        return wanted in self.complete or (wanted[0], wanted[1], None) in self.complete

    def in_range(self, wanted: RangeName) -> list[Entry]:
        """The thetas of a range."""
        exp_id, name, key = wanted
        return [
            Entry(*each, held.theta)
            for each, held in self.entries.items()
            if each.exp_id == exp_id and each.name == name and (key is None or each.key == key)
        ]

    def concerns(self, key: ThetaKey) -> bool:
        """Whether a change of this theta changes what is held."""
        return key in self.entries or self.has_range((key.exp_id, key.name, key.key))

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.complete.clear()
        self._ledger.size -= self.size
        self.size = 0


def _size(key: ThetaKey, held: CachedTheta | None) -> int:
    return 0 if held is None else _names_size(key) + len(held.theta or b"")


def _names_size(names: Iterable[str | None]) -> int:
    return 200 + sum(len(name or "") for name in names)


@dataclass
class WorkerUpdate:
    """What the next frame must tell the worker before it runs anything."""

    settle: str = ""
    clear: bool = False
    programs: dict[str, dict[str, str] | None] = field(default_factory=dict)
    thetas: dict[ThetaKey, bytes | None] = field(default_factory=dict)
    complete: set[RangeName] = field(default_factory=set)
    too_wide: set[RangeName] = field(default_factory=set)
