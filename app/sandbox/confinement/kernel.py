"""Calls of the C library that Python's standard library does not wrap; their errors are ``OSError``.

The confinement layers need half a dozen system calls (``prctl``, ``capset``, ``unshare``, Landlock, ``seccomp``). Each
is one line through ``call``, so a layer deals with no C types beyond the structures that it fills in.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

# Looked up once, while files can still be opened.
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(function: str, *arguments: Any) -> int:
    """Call a function of the C library and return its result, or raise the ``OSError`` that it reports.

    >>> call("getpid") == os.getpid()
    True
    >>> call("close", -1)
    Traceback (most recent call last):
    OSError: [Errno 9] Bad file descriptor: 'close'
    """
    ctypes.set_errno(0)
    result: int = getattr(_libc, function)(*map(_word, arguments))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), function)
    return result


def system_call(number: int, *arguments: Any) -> int:
    """Make the numbered system call, for those without a function in the C library; raises as ``call`` does."""
    return call("syscall", number, *arguments)


def _word(argument: Any) -> Any:
    # ctypes would pass a bare int as 32 bits, and leave the upper half of the register to chance.
    return ctypes.c_long(argument) if isinstance(argument, int) else argument
