"""The confinement layer of namespaces: a worker sees no network, no other process and no file.

Without it a worker shares the machine's network, process numbers and folders with the server, and only the other
layers refuse them. Many containers and some distributions do not grant namespaces; the other layers hold without them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from app.sandbox.confinement import privileges, process_state, seccomp
from app.sandbox.confinement.kernel import call

_USER = 0x10000000
# Mounts, control groups, host name, System V IPC, processes, network.
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000

_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_EXEC = 1, 2, 4, 8
_RECURSIVE, _PRIVATE = 0x4000, 0x40000
_DETACH = 2
# Any folder that exists everywhere will do to mount the new root on; nobody sees the mount.
_ANY_FOLDER = b"/proc"


def enter() -> bool:
    """Move this process and its children into namespaces of their own; False where that is not granted.

    The namespace of process ids holds for children only: this process can still tell the server their real ids.
    """
    return _granted(_unshare)


def empty_root() -> bool:
    """After ``enter``, replace the root folder by an empty one; False where that is not granted."""
    return _granted(_empty_root)


def hold_open() -> None:
    """After ``enter``, and before any other fork, fork a child that only sleeps and keeps the namespace open.

    The first child is process 1 of the namespace: when it ends, the kernel kills all processes there and starts no
    more. It dies with the zygote, and so every worker does. It must be started after Landlock is applied, which would
    otherwise block the signal by which it dies.
    """
    if os.fork() == 0:
        try:
            _sleep_for_ever()
        finally:
            os._exit(1)


def _granted(step: Callable[[], None]) -> bool:
    try:
        step()
    except OSError:
        return False
    return True


def _unshare() -> None:
    try:
        call("unshare", _NAMESPACES)
    except PermissionError:
        # Who may not do that may do it inside a user namespace. No identity is mapped into it: none is needed, and
        # there is none to become.
        call("unshare", _USER | _NAMESPACES)


def _empty_root() -> None:
    # Without this the mounts below would appear in the server's own namespace when root runs it.
    call("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
    flags = _READ_ONLY | _NO_SETUID | _NO_DEVICES | _NO_EXEC
    call("mount", b"none", _ANY_FOLDER, b"tmpfs", flags, b"size=4k,mode=555")
    os.chdir(_ANY_FOLDER)
    # Put the old root underneath the new one, and let go of it.
    call("pivot_root", b".", b".")
    call("umount2", b".", _DETACH)
    os.chdir("/")


def _sleep_for_ever() -> None:
    privileges.die_with_parent()
    # The control socket among them: the server must see it close when the zygote ends.
    os.closerange(0, process_state.BEYOND_FDS)
    seccomp.load(seccomp.FINAL)
    while True:
        time.sleep(3600)
