"""The confinement layer for files and the network: Landlock with a rule set that has no rule, so all is refused.

It holds if the system call filter ever lets an ``open`` or a ``connect`` through. Without both a script could read the
configuration with its passwords, write to the disk and connect to the database. The kernel checks Landlock where it
resolves paths and addresses, so it holds for every system call that gets there.
"""

from __future__ import annotations

import ctypes
import errno
from typing import NamedTuple

from app.sandbox.confinement.kernel import system_call

# The same numbers on every architecture.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_ASK_VERSION = 1
# The last is what containers answer to calls that their own filter does not know.
_ABSENT = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class Handled(NamedTuple):
    """What a rule set handles, as bits of the kernel's interface. With no rule that allows it, all of it is refused."""

    files: int
    network: int
    scopes: int


class _RulesetAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in Handled._fields]


def handled(abi: int) -> Handled:
    """Return every right that a kernel of this Landlock version knows; it rejects a rule set with other bits.

    >>> handled(1)
    Handled(files=8191, network=0, scopes=0)
    >>> handled(6)
    Handled(files=65535, network=3, scopes=3)
    """
    # Version 1 has 13 rights on files; then came moving between folders, truncating, and commands to devices.
    file_rights = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)
    return Handled(
        files=(1 << file_rights) - 1,
        network=0b11 if abi >= 4 else 0,  # TCP: bind, connect
        scopes=0b11 if abi >= 6 else 0,  # beyond this domain: abstract unix sockets, signals
    )


def version() -> int:
    """Return the running kernel's Landlock version, 0 where there is none."""
    try:
        return system_call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError as error:
        if error.errno in _ABSENT:
            return 0
        raise


def enter() -> int:
    """Refuse this process and its children every right that Landlock knows; return its version, 0 if there is none.

    The caller must have refused new privileges before, and closes the rule set's descriptor afterwards.
    """
    abi = version()
    if abi:
        attributes = _RulesetAttributes(*handled(abi))
        # A longer structure than the kernel knows is accepted as long as the unknown part is zero.
        ruleset = system_call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
        system_call(_RESTRICT_SELF, ruleset, 0)
    return abi
