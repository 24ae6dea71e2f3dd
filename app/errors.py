"""Everything that can go wrong in the domain, each error writing its own sentence from what it is given.

Nothing here knows HTTP: ``app.http.errors`` decides which status each class answers with.
"""

from __future__ import annotations

from typing import Any


class ThetaloopError(Exception):
    """The base of every error that a user may see; ``message`` is a whole sentence, ``detail`` is for programs."""

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class ConfigurationError(ThetaloopError):
    """A setting is unknown, malformed or missing."""


class MongodUnavailable(ThetaloopError):
    """No private mongod can be started, adopted or reached."""
