"""Files as their owners and administrators read them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.domain.files import ByteRange, StoredFile
from app.domain.user import User
from app.errors import FileUnfinished, NotFound
from app.storage.files import DEAD_AFTER
from app.storage.store import Store


class FileService:
    """Another user's file is as if it did not exist."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, user: User, file_id: str) -> StoredFile:
        """A file that the user may read.

        Raises ``FileUnfinished`` while a server writes it, and ``NotFound`` if it is another's, has expired or never
        came to be.
        """
        file = await self._store.files.find(file_id)
        if file is None or not file.readable_by(user):
            raise NotFound(f"you have no file {file_id!r}")
        if isinstance(file, StoredFile):
            return file
        if await self._store.leases.now() - file.alive > DEAD_AFTER:
            raise NotFound(f"you have no file {file_id!r}")
        raise FileUnfinished(file_id)

    def read(self, file: StoredFile, part: ByteRange) -> AsyncIterator[bytes]:
        """The bytes of a part of the file, piece by piece."""
        return self._store.files.read(file.id, part.first, part.count)
