"""Files that a server keeps for its users: the draws of simulations, exports of logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.user import User


@dataclass(frozen=True)
class FileSpec:
    """A file that is about to be written.

    ``name`` is what a browser saves it as, ``type`` its media type. ``expires`` is when it is deleted, and None if it
    stays until its experiment is deleted.
    """

    id: str
    owner: str
    exp_id: str
    name: str
    type: str
    expires: datetime | None = None

    def readable_by(self, user: User) -> bool:
        """Whether the user may read it: its owner and administrators may."""
        return user.admin or user.name == self.owner


@dataclass(frozen=True, kw_only=True)
class UnfinishedFile(FileSpec):
    """A file that is being written; ``alive`` is when its writer last showed a sign of life."""

    alive: datetime


@dataclass(frozen=True, kw_only=True)
class StoredFile(FileSpec):
    """A file that is there, complete: its ``size`` in bytes and the SHA-256 of its content, in hexadecimal."""

    created: datetime
    size: int
    sha256: str


@dataclass(frozen=True)
class ByteRange:
    """A part of a file: its first byte, counted from 0, and how many bytes it has."""

    first: int
    count: int
