"""The contents of files in GridFS, through motor, whose client is opened by the first use.

Servers that never touch a file neither import motor nor hold its threads and connections.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import gridfs.errors

from app.errors import StoreUnavailable
from app.storage.client import APPLICATION, DURABLE, MAJORITY, Connection

if TYPE_CHECKING:
    from motor.motor_tornado import MotorClient, MotorGridFSBucket, MotorGridIn

BUCKET = "file_contents"
# The driver sends up to 48 MB at once. On the sockets, as any other limit would also be that of finding a server.
_SOCKET_MS = 10_000
_SELECTION_MS = 5_000


class FileContents:
    """Writes, reads and deletes contents by the id of their file."""

    def __init__(self, connection: Connection) -> None:
        self._uri = connection.uri
        self._database = connection.db.name
        self._client: MotorClient[Any] | None = None
        self._opened: MotorGridFSBucket | None = None

    async def upload(self, file_id: str, name: str) -> MotorGridIn:
        """Begin to write; other readers see nothing of it before it is closed."""
        return (await self._bucket()).open_upload_stream_with_id(file_id, name)

    async def read(self, file_id: str, first: int, count: int) -> AsyncGenerator[bytes, None]:
        """The bytes from ``first`` on, in pieces of at most 255 KiB.

        Raises ``StoreUnavailable`` if they are not there: the file was just deleted, or a new primary lags behind.
        """
        try:
            content = await (await self._bucket()).open_download_stream(file_id)
            content.seek(first)
            while count > 0:
                piece = await content.readchunk()
                if not piece:
                    raise StoreUnavailable()
                yield piece[:count]
                count -= len(piece)
        except (gridfs.errors.NoFile, gridfs.errors.CorruptGridFile) as error:
            raise StoreUnavailable() from error

    async def delete(self, file_id: str) -> None:
        """Delete what there is, be it whole or not."""
        try:
            await (await self._bucket()).delete(file_id)
        except gridfs.errors.NoFile:
            pass  # it deletes the pieces even so

    async def close(self) -> None:
        """Close the client, if there is one."""
        client, self._client, self._opened = self._client, None, None
        if client is not None:
            await asyncio.to_thread(client.close)

    async def _bucket(self) -> MotorGridFSBucket:
        if self._opened is not None:
            return self._opened
        # On a thread, as this import takes longer than a call may keep the event loop.
        motor: Any = await asyncio.to_thread(importlib.import_module, "motor.motor_tornado")
        if self._opened is None:
            self._client = motor.MotorClient(
                self._uri,
                socketTimeoutMS=_SOCKET_MS,
                serverSelectionTimeoutMS=_SELECTION_MS,
                connectTimeoutMS=_SELECTION_MS,
                tz_aware=True,
                appname=APPLICATION,
            )
            database = self._client.get_database(self._database, write_concern=DURABLE, read_concern=MAJORITY)
            self._opened = motor.MotorGridFSBucket(database, BUCKET)
        return self._opened
