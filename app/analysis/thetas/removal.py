"""Theta as it would be had some events never happened: undo and erasure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.analysis.thetas.difference import ThetaChange, differences
from app.analysis.thetas.fold import Checkpoint, Event, Theta, fold, nearest


@dataclass(frozen=True)
class Removal:
    """The theta that is left, the events removed, those folded again, and what changed in theta."""

    theta: Theta
    removed: int
    refolded: int
    changes: tuple[ThetaChange, ...]
    rebuilt_checkpoints: tuple[Checkpoint, ...]


def remove(
    events: Sequence[Event],
    apply: Callable[[Theta, Event], Theta],
    gone: Callable[[Event], bool],
    checkpoints: Iterable[Checkpoint] = (),
) -> Removal:
    """Fold all events but those that are ``gone``.

    It begins at the last checkpoint before the first of them and makes later checkpoints again. Removing nothing
    changes nothing. Raises :class:`app.analysis.thetas.fold.FoldFailed` where a later event cannot do without them.

    >>> def add(theta, event):
    ...     return {"n": theta.get("n", 0) + 1}
    >>> found = remove([Event(1), Event(2), Event(3)], add, lambda event: event.seq == 2)
    >>> found.theta, found.removed, found.refolded, found.changes[0].before
    ({'n': 2}, 1, 2, 3)
    """
    kept, without = list(checkpoints), {event.seq for event in events if gone(event)}
    head = max((event.seq for event in events), default=0)
    before = fold(events, apply, head, kept)
    if not without:
        return Removal(before.theta, 0, 0, (), ())
    first = min(without)
    valid = [one for one in kept if one.seq < first]
    rebuilt: list[Checkpoint] = []
    for seq in sorted(one.seq for one in kept if one.seq >= first):
        rebuilt.append(Checkpoint(seq, fold(events, apply, seq, [*valid, *rebuilt], without).theta))
    after = fold(events, apply, head, [*valid, *rebuilt], without)
    begin = nearest(valid, first).seq
    refolded = sum(begin < event.seq and event.seq not in without for event in events)
    changes = tuple(differences(before.theta, after.theta))
    return Removal(after.theta, len(without), refolded, changes, tuple(rebuilt))
