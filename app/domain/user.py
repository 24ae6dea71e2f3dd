"""An account."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class User:
    """Somebody who can sign in; administrators may add and remove others."""

    name: str
    admin: bool = False
