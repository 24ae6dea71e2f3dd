"""Advices that this server gave lately, so that most rewards need not look theirs up."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from app.domain.decision import Decision

# What the objects of a decision take beside the text in them.
_OBJECT_BYTES = 2_000
_encode = msgspec.msgpack.Encoder().encode


class Advices:
    """Pending decisions that are in the action log for certain; the oldest make room.

    Another server may settle one at any time. That does no harm: whoever commits a reward claims its decision, and
    finds out. As each is handed out only once, the next attempt then asks the database.
    """

    def __init__(self, most_bytes: int) -> None:
        self._room = most_bytes
        self._held: OrderedDict[str, tuple[Decision, int]] = OrderedDict()

    def put(self, decision: Decision) -> None:
        """Remember a decision that waits for its reward."""
        if decision.status != "pending" or decision.id in self._held:
            return
        size = _OBJECT_BYTES + len(_encode((decision.context, decision.action)))
        self._room -= size
        self._held[decision.id] = decision, size
        while self._room < 0:
            _, (_, size) = self._held.popitem(last=False)
            self._room += size

    def take(self, exp_id: str, ids: list[str]) -> dict[str, Decision]:
        """Those of the experiment's decisions that are remembered, by id; they are forgotten with that."""
        taken: dict[str, Decision] = {}
        for each in ids:
            held = self._held.get(each)
            if held is not None and held[0].exp_id == exp_id:
                del self._held[each]
                self._room += held[1]
                taken[each] = held[0]
        return taken
