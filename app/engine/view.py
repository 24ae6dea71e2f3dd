"""What one server believes about an experiment: its scripts and its place in the order of commits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.domain.experiment import LIVE, Experiment, Head


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

    @property
    def epochs(self) -> dict[str, int]:
        """The epoch of each experiment."""
        return {exp_id: head.epoch for exp_id, head in self.heads.items()}

    def agrees(self, other: View | None) -> bool:
        """Return whether the other view has every head of this one at the same place."""
        return other is not None and all(
            exp_id in other.heads and other.heads[exp_id].place == head.place for exp_id, head in self.heads.items()
        )

    def has_scripts_of(self, heads: dict[str, Head]) -> bool:
        """Return whether no experiment of the view was edited, reset or deleted by the time of these heads."""
        return all(
            (head := heads.get(exp_id)) is not None
            and (head.state, head.revision, head.epoch) == (LIVE, known.revision, known.epoch)
            for exp_id, known in self.heads.items()
        )

    def moved(self, heads: Iterable[Head]) -> View:
        """Return the view with these heads in place of their older ones."""
        return replace(self, heads={**self.heads, **{head.exp_id: head for head in heads}})

    def joined_by(self, experiment: Experiment, head: Head) -> View:
        """Return the view with one more nested experiment."""
        return replace(
            self,
            experiments={**self.experiments, experiment.id: experiment},
            heads={**self.heads, head.exp_id: head},
        )
