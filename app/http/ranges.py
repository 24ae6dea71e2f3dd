"""Ranges of bytes: which part of a file a request asks for, as RFC 9110 (section 14) has it."""

from __future__ import annotations

import re

from app.domain.files import ByteRange

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class UnsatisfiableRange(ValueError):
    """No byte of the file lies in the range."""


def requested_range(header: str | None, size: int) -> ByteRange | None:
    """Return the part that the header ``Range`` asks for; None if that is the whole file.

    Malformed headers, other units and several ranges at once are ignored, as the RFC allows. Raises
    ``UnsatisfiableRange`` if the range begins behind the end.

    >>> requested_range("bytes=2-5", 10), requested_range("bytes=-3", 10), requested_range("bytes=9-3", 10)
    (ByteRange(first=2, count=4), ByteRange(first=7, count=3), None)
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match[0].rstrip().endswith("=-"):
        return None
    first, last = match.groups()
    if not first:
        count = min(int(last), size)
        if count == 0:
            raise UnsatisfiableRange
        return ByteRange(size - count, count)
    begin, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < begin:
        return None
    if begin >= size:
        raise UnsatisfiableRange
    return ByteRange(begin, end - begin + 1)
