"""Documents of MongoDB, and what reads and writes of them share. Outside of this package there are typed rows only."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

import bson
from pymongo import errors

from app.storage.keys import escaped, restored

Document = dict[str, Any]
T = TypeVar("T")

# Fields of which users choose the keys, in whichever collection.
USER_VALUES = frozenset({"context", "action", "reward", "default_reward", "data", "theta"})
_DUPLICATE_KEY = 11000
_CHUNK_ROWS = 500
_CHUNK_BYTES = 8 * 2**20


def from_document(kind: type[T], document: Document) -> T:
    """The dataclass ``kind`` with the fields of the document; its ``id`` is the document's ``_id``.

    Fields that the dataclass does not have are ignored: during an upgrade a newer server may write more than this one
    knows. Fields that the document lacks get their default; ``TypeError`` if one of them has none.
    """
    names = _names(cast(Hashable, kind))
    found = {name: document[name] for name in names if name in document}
    if "id" in names:
        found["id"] = document["_id"]
    for name in USER_VALUES & found.keys():
        found[name] = restored(found[name])
    return kind(**found)


def to_document(row: Any, *, with_none: bool = True) -> Document:
    """The document of a dataclass: its ``id`` is the ``_id``, and the keys of users' values are escaped.

    Without ``with_none``, fields that are None are left out.
    """
    document: Document = {"_id": row.id}
    for name, value in vars(row).items():
        if name != "id" and (with_none or value is not None):
            document[name] = escaped(value) if name in USER_VALUES else value
    return document


@cache
def _names(kind: Hashable) -> frozenset[str]:
    return frozenset(field.name for field in fields(cast(Any, kind)))


class Chunk:
    """Rows that are gathered until they are many or large."""

    def __init__(self) -> None:
        self.rows: list[Document] = []
        self._bytes = 0

    def add(self, row: Document) -> bool:
        """Add a row; whether the chunk is full now."""
        self.rows.append(row)
        self._bytes += len(bson.encode(row))
        return len(self.rows) >= _CHUNK_ROWS or self._bytes >= _CHUNK_BYTES


def only_duplicates(error: errors.BulkWriteError) -> bool:
    """Whether all that was wrong is that rows are there already, as after a repeat whose first answer was lost."""
    return are_duplicates(error.details) and not error.details["writeConcernErrors"]


def are_duplicates(details: Any) -> bool:
    """Whether no row of a bulk write was refused for another reason than that it is there already."""
    return all(fault["code"] == _DUPLICATE_KEY for fault in details["writeErrors"])
