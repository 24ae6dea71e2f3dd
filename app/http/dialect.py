"""What an API is to the server: a name and a table of URLs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """One API: its routes as (pattern, handler); ids are groups of the pattern."""

    name: str
    routes: Sequence[tuple[str, type]]
