"""``/files/ID``: whole files and parts of them, for whoever may read them."""

from __future__ import annotations

from urllib.parse import quote

from tornado.httputil import format_timestamp
from tornado.web import HTTPError

from app.domain.files import ByteRange, StoredFile
from app.http.ranges import UnsatisfiableRange, requested_range
from app.http.streaming import StreamingHandler

_EXPOSED = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag"


class FileHandler(StreamingHandler):
    """Serves a file with ETag, conditional requests and single ranges."""

    async def get(self, file_id: str) -> None:
        """Send the file, or the part of it that the caller lacks."""
        file = await self._found(file_id)
        if self._is_known(file):
            self.set_status(304)
            return
        try:
            part = requested_range(self._range_header(file), file.size)
        except UnsatisfiableRange:
            return self._refuse_range(file)
        if part is not None:
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {part.first}-{part.first + part.count - 1}/{file.size}")
        await self._send(file, part or ByteRange(0, file.size))

    async def head(self, file_id: str) -> None:
        """Tell what GET would, without the content."""
        file = await self._found(file_id)
        if self._is_known(file):
            self.set_status(304)
            return
        self.set_header("Content-Length", file.size)

    async def _found(self, file_id: str) -> StoredFile:
        """Find the file and set the headers that describe it."""
        file = await self.services.files.find(await self.require_user(), file_id)
        self.set_header("Content-Type", file.type)
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(file.name, safe='')}")
        self.set_header("ETag", _etag(file))
        self.set_header("Last-Modified", format_timestamp(file.created))
        # To be kept by the browser of whoever asked, and asked for again before each use: it may expire any time.
        self.set_header("Cache-Control", "private, no-cache")
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Access-Control-Expose-Headers", _EXPOSED)
        return file

    def _is_known(self, file: StoredFile) -> bool:
        """Whether the caller has the file already; a date counts only where no ETag was sent."""
        if "If-None-Match" in self.request.headers:
            return self.check_etag_header()
        return self.request.headers.get("If-Modified-Since") == format_timestamp(file.created)

    def _range_header(self, file: StoredFile) -> str | None:
        """The range, unless it was asked for on the condition that the file is another one."""
        condition = self.request.headers.get("If-Range")
        if condition is not None and condition not in (_etag(file), format_timestamp(file.created)):
            return None
        return self.request.headers.get("Range")

    def _refuse_range(self, file: StoredFile) -> None:
        problem = HTTPError(416, f"Range: this file has {file.size:,} bytes, none of which lies in that range")
        answer = self.dialect.errors.answer(problem, headers=self.request_headers)
        self.set_status(answer.status)
        self.set_header("Content-Type", self.content_type)
        self.set_header("Content-Range", f"bytes */{file.size}")
        self.clear_header("Content-Disposition")
        self.send(answer.body)

    async def _send(self, file: StoredFile, part: ByteRange) -> None:
        self.set_header("Content-Length", part.count)
        async for piece in self.services.files.read(file, part):
            await self.write_piece(piece)
        await self.finish()


def _etag(file: StoredFile) -> str:
    return f'"{file.sha256}"'


ROUTES = [(r"/(?i:files)/([0-9A-Za-z_-]{1,64})", FileHandler)]
