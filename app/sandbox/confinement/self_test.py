"""A test of the confinement before any script runs: each of these attempts must fail.

A filter that is loaded and has no effect, on an unusual kernel or container, would otherwise go unnoticed.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket
from collections.abc import Callable, Mapping


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


ATTEMPTS: Mapping[str, Callable[[], object]] = {
    "open": lambda: os.open("/", os.O_RDONLY),
    "socket": lambda: socket.socket(socket.AF_INET),
    "fork": _fork,
    # A folder is never executed: without the filter this fails as well, but later and for another reason.
    "execve": lambda: os.execve("/", ["/"], {}),
    "mmap PROT_EXEC": lambda: mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
}


def breaches() -> tuple[str, ...]:
    """Return the attempts that the system call filter did not stop."""
    return tuple(name for name, attempt in ATTEMPTS.items() if not _stopped(attempt))


def _stopped(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError as error:
        # The filter's own answer. With any other the call has got as far as the kernel's usual checks.
        return error.errno == errno.EPERM
    return False
