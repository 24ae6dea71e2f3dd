"""Files: a row that says what a file is and whether it is complete, and its content in GridFS.

A row is ``writing`` until its content is whole, then ``complete``, and ``deleting`` until all of it is gone. Readers
see complete ones only. So what a killed server leaves behind is invisible, and a job finds it by its row.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from app.domain.files import FileSpec, StoredFile, UnfinishedFile
from app.errors import StoreUnavailable
from app.storage.client import Connection, Storage
from app.storage.documents import Document, from_document
from app.storage.elections import complete_after_election
from app.storage.file_contents import FileContents
from app.storage.outages import translate_outages

if TYPE_CHECKING:
    from motor.motor_tornado import MotorGridIn

# When files expire whose experiment was deleted.
EXPERIMENT_GONE = datetime.fromtimestamp(0, UTC)
WRITING, COMPLETE, DELETING = "writing", "complete", "deleting"
# A writer shows a sign of life every two seconds.
_BEAT_SECONDS = 2.0
DEAD_AFTER = timedelta(seconds=10)
# Much longer: what is swept while its writer still lives is lost.
_ABANDONED_AFTER = timedelta(minutes=10)
_WRITE_BYTES = 2**20
_MAX_SWEPT = 1_000


class Files(Storage):
    """Files by id."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._contents = FileContents(connection)

    @translate_outages
    async def create(self, spec: FileSpec) -> FileWriter:
        """Begin a file; its content is given to the writer."""
        row = {name: value for name, value in vars(spec).items() if name != "id"}
        now = datetime.now(UTC)
        await self.db.files.insert_one({"_id": spec.id, **row, "state": WRITING, "created": now, "alive": now})
        return FileWriter(self, await self._contents.upload(spec.id, spec.name), spec)

    @translate_outages
    @complete_after_election
    async def find(self, file_id: str) -> StoredFile | UnfinishedFile | None:
        """A file that has not expired, complete or on its way."""
        row = await self.db.files.find_one({"_id": file_id, "state": {"$in": [WRITING, COMPLETE]}})
        if row is None or (row["expires"] is not None and row["expires"] <= datetime.now(UTC)):
            return None
        return from_document(StoredFile, row) if row["state"] == COMPLETE else from_document(UnfinishedFile, row)

    @translate_outages
    async def read(self, file_id: str, first: int, count: int) -> AsyncIterator[bytes]:
        """A part of a complete file, piece by piece."""
        async with contextlib.aclosing(self._contents.read(file_id, first, count)) as pieces:
            async for piece in pieces:
                yield piece

    @translate_outages
    async def keep(self, file_id: str) -> None:
        """Let a file stay until its experiment is deleted."""
        wanted = {"_id": file_id, "state": COMPLETE, "expires": {"$gt": EXPERIMENT_GONE}}
        await self.db.files.update_one(wanted, {"$set": {"expires": None}})

    @translate_outages
    async def expired(self, now: datetime) -> list[str]:
        """Complete files whose time is over."""
        return await self._ids({"state": COMPLETE, "expires": {"$lte": now}})

    @translate_outages
    async def abandoned(self, now: datetime) -> list[str]:
        """Files whose writer has long shown no sign of life, and those whose deletion was broken off."""
        dead = {"state": WRITING, "alive": {"$lte": now - _ABANDONED_AFTER}}
        return await self._ids({"$or": [dead, {"state": DELETING, "alive": {"$lte": now - DEAD_AFTER}}]})

    @translate_outages
    async def remove(self, file_id: str) -> None:
        """Delete a file, be it complete or not; begun again after a kill, it goes on where it was."""
        # Fenced off first: a writer that is still alive can no longer complete it.
        await self.db.files.update_one({"_id": file_id}, {"$set": {"state": DELETING, "alive": datetime.now(UTC)}})
        await self._contents.delete(file_id)
        await self.db.files.delete_one({"_id": file_id})

    @translate_outages
    async def show_life(self, file_id: str) -> None:
        """Note that the file's writer is at work."""
        await self.db.files.update_one({"_id": file_id}, {"$currentDate": {"alive": True}})

    @translate_outages
    async def complete(self, file_id: str, size: int, checksum: str) -> bool:
        """Let readers see the file; False if it was given up meanwhile."""
        values = {"state": COMPLETE, "size": size, "sha256": checksum}
        changed = await self.db.files.update_one({"_id": file_id, "state": WRITING}, {"$set": values})
        return changed.matched_count > 0

    @translate_outages
    async def close(self) -> None:
        """Close the connections to contents."""
        await self._contents.close()

    async def _ids(self, wanted: Document) -> list[str]:
        return [row["_id"] async for row in self.db.files.find(wanted, {"_id": 1}).limit(_MAX_SWEPT)]


class FileWriter:
    """Writes one file: ``write`` as often as there is something, then ``complete`` or ``abort``."""

    def __init__(self, files: Files, upload: MotorGridIn, spec: FileSpec) -> None:
        self.spec = spec
        self.size = 0
        self._files = files
        self._upload = upload
        self._checksum = sha256()
        self._gathered = bytearray()
        self._sending: asyncio.Future[Any] | None = None
        self._beat = asyncio.create_task(self._show_life())

    @translate_outages
    async def write(self, data: bytes) -> None:
        """Add to the content."""
        self._gathered += data
        if len(self._gathered) >= _WRITE_BYTES:
            await self._send()

    @translate_outages
    async def complete(self) -> None:
        """Let readers see the file. Raises ``StoreUnavailable`` if this took so long that it was given up for dead."""
        await self._send()
        await self._finished(self._upload.close())
        await self._stop_beat()
        if not await self._files.complete(self.spec.id, self.size, self._checksum.hexdigest()):
            await self._files.remove(self.spec.id)
            raise StoreUnavailable()

    async def abort(self) -> None:
        """Delete what was written; what MongoDB cannot be told now a job deletes later."""
        await self._stop_beat()
        if self._sending is not None:
            await asyncio.wait([self._sending])
        with contextlib.suppress(StoreUnavailable):
            await self._files.remove(self.spec.id)

    async def _send(self) -> None:
        data, self._gathered = bytes(self._gathered), bytearray()
        self._checksum.update(data)
        self.size += len(data)
        await self._finished(self._upload.write(data))

    async def _finished(self, operation: Awaitable[Any]) -> None:
        # It runs on a thread, which goes on if this task is cancelled: so whoever aborts must be able to wait for it.
        self._sending = asyncio.ensure_future(operation)
        await asyncio.shield(self._sending)

    async def _show_life(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            with contextlib.suppress(StoreUnavailable):
                await self._files.show_life(self.spec.id)

    async def _stop_beat(self) -> None:
        self._beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._beat
