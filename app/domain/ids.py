"""Ids of rows and the seeds drawn from them."""

from __future__ import annotations

import secrets
import time
from hashlib import blake2b


def new_id() -> str:
    """A fresh row id: 32 hexadecimal digits, of which the first twelve are the time in milliseconds.

    Ids made later sort later, so inserts touch one end of the index; 80 random bits make them impossible to guess.
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def seed_of(call: str, row_id: str) -> int:
    """The 32-bit seed of one call, from the id of its own row: anybody can draw again what it drew.

    >>> seed_of("getaction", "0190") == seed_of("getaction", "0190"), seed_of("setreward", "0190") < 2**32
    (True, True)
    """
    return int.from_bytes(blake2b(f"{call}:{row_id}".encode(), digest_size=4).digest())
