"""The confinement layer of identity: a worker runs as ``nobody``, without capabilities, and cannot be inspected.

Without it the workers of a server that root started would have every capability of root. If the system call filter
failed, they could raise their own limits (the kernel exempts root from ``RLIMIT_NPROC``), signal any process
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
    """Refuse privileges from set-user-id programs for good; the kernel requires this before it accepts a filter."""
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent thread ends.

    The kernel resets this at every change of identity and at every fork, so it comes after ``drop`` and again in each
    child.
    """
    call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def drop() -> bool:
    """Give up root's identity and every capability, forbid inspection; False if root's identity remains."""
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
        # A container may refuse a change of identity; the other layers hold without it.
        return False
    return True
