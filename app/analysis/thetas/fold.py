"""Theta at any moment: a checkpoint and the events after it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Theta = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One recorded change of theta: its place in the order, what it was, and all that it takes to repeat it."""

    seq: int
    kind: str = "reward"
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """Theta as it was right after event ``seq``; 0 is before the first."""

    seq: int = 0
    theta: Mapping[str, Any] = field(default_factory=dict)


class FoldFailed(ValueError):
    """An event cannot be applied to the theta that now precedes it; ``seq`` says which."""

    def __init__(self, seq: int, message: str) -> None:
        super().__init__(f"seq {seq}: {message}")
        self.seq, self.message = seq, message


@dataclass(frozen=True)
class Folded:
    """Theta at ``seq``, the checkpoint that it began at, and how many events were applied."""

    seq: int
    theta: Theta
    checkpoint: int
    replayed: int


def nearest(checkpoints: Iterable[Checkpoint], seq: int) -> Checkpoint:
    """The last checkpoint at or before ``seq``; the empty one if there is none.

    >>> nearest([Checkpoint(10), Checkpoint(20)], 15).seq, nearest([], 15).seq
    (10, 0)
    """
    return max((one for one in checkpoints if one.seq <= seq), key=lambda one: one.seq, default=Checkpoint())


def fold(
    events: Sequence[Event],
    apply: Callable[[Theta, Event], Theta],
    at: int,
    checkpoints: Iterable[Checkpoint] = (),
    without: Container[int] = (),
) -> Folded:
    """Theta right after event ``at``.

    Parameters
    ----------
    events
        In the order of ``seq``; those up to the checkpoint and after ``at`` are passed over.
    apply
        Gives the theta after an event; it may change the theta that it is given. What it raises becomes
        :class:`FoldFailed`.
    without
        Places of events that are left out. The checkpoint must lie before the first of them, which is not checked.

    >>> def add(theta, event):
    ...     return {"n": theta.get("n", 0) + 1}
    >>> fold([Event(1), Event(2), Event(3)], add, at=2).theta
    {'n': 2}
    """
    begin = nearest(checkpoints, at)
    theta, replayed = copy.deepcopy(dict(begin.theta)), 0
    for event in events:
        if event.seq <= begin.seq or event.seq > at or event.seq in without:
            continue
        try:
            theta = apply(theta, event)
        except Exception as error:
            raise FoldFailed(event.seq, str(error) or type(error).__name__) from error
        replayed += 1
    return Folded(at, theta, begin.seq, replayed)
