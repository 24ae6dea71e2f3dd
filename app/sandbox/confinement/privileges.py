"""The wall of identity: a worker is nobody, can become nobody else, and cannot be looked into.

Without it a server that root started would have workers with every capability of root: should the system call filter
ever have a hole, they could raise their own limits (the kernel exempts root from ``RLIMIT_NPROC``), signal any process
and read any file. A memory dump, or another process of the same user, could show what a worker holds.
"""

from __future__ import annotations

import ctypes
import os
import signal

from app.sandbox.confinement.kernel import call

PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
NOBODY = 65534


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def refuse_new_privileges() -> None:
    """No set-user-id program will ever raise this process; the kernel also asks for this before it takes a filter."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Be killed when the parent thread ends.

    The kernel forgets this at every change of identity and at every fork, so it comes after ``drop`` and again in each
    child.
    """
    call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def drop() -> bool:
    """Give up root's identity, every capability and the right to be inspected; False if root's identity remains."""
    became_nobody = _become_nobody()
    nothing = (ctypes.c_uint32 * 6)()
    call("capset", ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), ctypes.byref(nothing))
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    return became_nobody


def _become_nobody() -> bool:
    if os.geteuid() != 0:
        return True
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        # A container may hold back the right to change identity; the other walls stand without it.
        return False
    return True
