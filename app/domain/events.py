"""Changes of theta that are no rewards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ThetaEvent:
    """A call changed an experiment's theta without being its reward; ``seq`` is its place in the order of commits.

    ``kind`` is ``get_action`` where the script of a decision wrote theta, and ``nested`` where the scripts of another
    experiment, ``caller``, did. ``row`` is the id of the decision or reward that made it.
    """

    exp_id: str
    seq: int
    date: datetime
    kind: str
    caller: str
    row: str
