"""Deletes files whose time is over, and what killed servers left half written."""

from __future__ import annotations

from app.storage.store import Store


class FileJob:
    """Works file by file; after a kill it goes on where it was."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Delete what has expired or was abandoned."""
        files = self._store.files
        now = await self._store.leases.now()
        for file_id in await files.expired(now):
            # The draws of a run expire unless its row refers to them: its server may have been killed in between.
            if await self._store.simulations.has_draws(file_id):
                await files.keep(file_id)
            else:
                await files.remove(file_id)
        for file_id in await files.abandoned(now):
            await files.remove(file_id)
