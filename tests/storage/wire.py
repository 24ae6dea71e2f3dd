"""A store on a real database, and the commands that it sends there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from pymongo import monitoring

from app.storage.client import connect
from app.storage.store import Store


class Wire(monitoring.CommandListener):
    """Remembers the commands that were sent."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """A command is about to be sent."""
        self.commands.append({"name": event.command_name, **event.command})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Of no interest."""

    def named(self, names: set[str]) -> list[dict[str, Any]]:
        """The commands of these names."""
        return [command for command in self.commands if command["name"] in names]


@contextlib.asynccontextmanager
async def opened(uri: str, database: str, *listeners: monitoring.CommandListener) -> AsyncIterator[Store]:
    """A store on that database."""
    store = Store(connect(uri, database, list(listeners)))
    try:
        await store.prepare()
        yield store
    finally:
        await store.close()
