"""The disk of the private MongoDB, which panics when it is full: writes are refused while there is room left."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from app.errors import DiskFull

_log = logging.getLogger("thetaloop")
_CHECK_SECONDS = 1.0


class DataDisk:
    """The disk that ``folder`` is on; ``reserve`` bytes of it must stay free. Without a folder it is never full."""

    def __init__(self, folder: Path | None, reserve: int) -> None:
        self._folder = folder if reserve else None
        self._reserve = reserve
        self._checked = float("-inf")
        self._full = False

    @property
    def full(self) -> bool:
        """Whether less than the reserve is free; looked at once a second, which costs some microseconds."""
        now = time.monotonic()
        if self._folder is not None and now - self._checked >= _CHECK_SECONDS:
            self._checked = now
            self._see(self._free(self._folder))
        return self._full

    def require_room(self) -> None:
        """Raise ``DiskFull`` if the disk is."""
        if self.full:
            raise DiskFull()

    @staticmethod
    def _free(folder: Path) -> int:
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize

    def _see(self, free: int) -> None:
        full = free < self._reserve
        if full and not self._full:
            _log.error("disk: %d MB are free for the data folder, so calls that write are refused", free // 10**6)
        elif self._full and not full:
            _log.warning("disk: %d MB are free for the data folder, so calls that write are taken again", free // 10**6)
        self._full = full
