"""A cache of the advices that this server gave lately, so that most rewards need not look theirs up."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from app.domain.decision import Decision

# What the objects of a decision take beside the text in them.
_OBJECT_BYTES = 2_000
_encode = msgspec.msgpack.Encoder().encode


class Advices:
    """Caches pending decisions that are in the action log for certain; the oldest make room.

    Another server may settle one at any time. That does no harm: a commit claims the decisions it rewards, and fails if
    one was settled. As each is handed out only once, the next attempt then asks the database.
    """

    def __init__(self, max_bytes: int) -> None:
        self._free_bytes = max_bytes
        self._cached: OrderedDict[str, tuple[Decision, int]] = OrderedDict()

    def put(self, decision: Decision) -> None:
        """Remember a decision that waits for its reward."""
        if decision.status != "pending" or decision.id in self._cached:
            return
        size = _OBJECT_BYTES + len(_encode((decision.context, decision.action)))
        self._free_bytes -= size
        self._cached[decision.id] = decision, size
        while self._free_bytes < 0:
            _, (_, size) = self._cached.popitem(last=False)
            self._free_bytes += size

    def take(self, exp_id: str, ids: list[str]) -> dict[str, Decision]:
        """Return those of the experiment's decisions that are cached, by id, and forget them."""
        taken: dict[str, Decision] = {}
        for each in ids:
            cached = self._cached.get(each)
            if cached is not None and cached[0].exp_id == exp_id:
                del self._cached[each]
                self._free_bytes += cached[1]
                taken[each] = cached[0]
        return taken
