"""The confinement layer of system calls: a filter in the kernel that allows what a worker needs and refuses the rest.

All other layers rest on this one. Without it a script that reaches memory (``ctypes`` can be reached through object
graphs) can make any system call: open files, connect to the database, start programs, trace the server, or exploit bugs
of the kernel in ``io_uring``, ``bpf`` and the like. The other layers each stop some of that.

The filter is a program in classic BPF. The kernel runs it at each system call over the call's number, the architecture
and the six arguments. It is generated here from lists of names, for each architecture whose numbers are known. Filters
add up: no ``FINAL`` in a worker allows what ``BASE`` in the zygote refuses.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from app.sandbox.confinement.kernel import system_call
from app.sandbox.confinement.privileges import PR_SET_PDEATHSIG

ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EPERM
KILL = 0x80000000

# All that a worker needs to read, compute and answer; without descriptors none of these calls reaches anything else.
FINAL = (
    "read",
    "write",
    "futex",
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "brk",
    "madvise",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "setitimer",
    "getpid",
    "gettid",
    "clock_gettime",
    "gettimeofday",
    "clock_nanosleep",
    "getrandom",
    "exit",
    "exit_group",
    "restart_syscall",
    "sched_yield",
    "poll",
    "ppoll",
)

# What the zygote needs besides: receive a socket, fork, answer with a process descriptor; and what its child needs to
# apply the remaining layers.
BASE = (
    *FINAL,
    "clone",
    "recvmsg",
    "sendmsg",
    "close",
    "close_range",
    "dup2",
    "dup3",
    "pidfd_open",
    "seccomp",
    "set_robust_list",
    "prctl",
    "rseq",
    "getsockname",
    "getsockopt",
    "prlimit64",
)


@dataclass(frozen=True)
class Equals:
    """The argument must have this value, in all its 64 bits."""

    argument: int
    value: int


@dataclass(frozen=True)
class Lacks:
    """The argument must have none of these bits; they are among its lower 32."""

    argument: int
    bits: int


_PROT_EXEC = 4
_SET_MODE_FILTER = 1
# The flags of a plain fork by the C library: the child's thread id kept up to date, and SIGCHLD at its end. With no
# other flag there is no thread (which would escape the limits per process) and no new namespace.
_FORK = 0x01000000 | 0x00200000 | 17

CONDITIONS: Mapping[str, Sequence[Equals | Lacks]] = {
    "mmap": [Lacks(2, _PROT_EXEC)],
    "mprotect": [Lacks(2, _PROT_EXEC)],
    "clone": [Equals(0, _FORK)],
    # Only further filters, and none with a listener that could overrule others.
    "seccomp": [Equals(0, _SET_MODE_FILTER), Equals(1, 0)],
    "prctl": [Equals(0, PR_SET_PDEATHSIG)],
    # Only its own limits, which it can only lower.
    "prlimit64": [Equals(0, 0)],
}


@dataclass(frozen=True, eq=False)
class Architecture:
    """How system calls are numbered on one kind of processor; each is itself and nothing else, so it can be a key."""

    audit: int  # the kernel's name for it
    numbers: Mapping[str, int]
    foreign_from: int | None = None  # from here on numbers belong to another convention of the same processor


X86_64 = Architecture(
    audit=0xC000003E,
    foreign_from=0x40000000,  # x32: the same calls under other numbers, for which a filter by number is blind
    numbers={
        "read": 0,
        "write": 1,
        "close": 3,
        "poll": 7,
        "mmap": 9,
        "mprotect": 10,
        "munmap": 11,
        "brk": 12,
        "rt_sigaction": 13,
        "rt_sigprocmask": 14,
        "rt_sigreturn": 15,
        "sched_yield": 24,
        "mremap": 25,
        "madvise": 28,
        "dup2": 33,
        "setitimer": 38,
        "getpid": 39,
        "sendmsg": 46,
        "recvmsg": 47,
        "getsockname": 51,
        "getsockopt": 55,
        "clone": 56,
        "exit": 60,
        "gettimeofday": 96,
        "prctl": 157,
        "gettid": 186,
        "futex": 202,
        "restart_syscall": 219,
        "clock_gettime": 228,
        "clock_nanosleep": 230,
        "exit_group": 231,
        "set_robust_list": 273,
        "dup3": 292,
        "prlimit64": 302,
        "seccomp": 317,
        "getrandom": 318,
        "rseq": 334,
        "pidfd_open": 434,
        "close_range": 436,
    },
)

# It never had poll and dup2: its C library makes them out of ppoll and dup3.
AARCH64 = Architecture(
    audit=0xC00000B7,
    numbers={
        "dup3": 24,
        "close": 57,
        "read": 63,
        "write": 64,
        "ppoll": 73,
        "exit": 93,
        "exit_group": 94,
        "futex": 98,
        "set_robust_list": 99,
        "setitimer": 103,
        "clock_gettime": 113,
        "clock_nanosleep": 115,
        "sched_yield": 124,
        "restart_syscall": 128,
        "rt_sigaction": 134,
        "rt_sigprocmask": 135,
        "rt_sigreturn": 139,
        "prctl": 167,
        "gettimeofday": 169,
        "getpid": 172,
        "gettid": 178,
        "getsockname": 204,
        "getsockopt": 209,
        "sendmsg": 211,
        "recvmsg": 212,
        "brk": 214,
        "munmap": 215,
        "mremap": 216,
        "clone": 220,
        "mmap": 222,
        "mprotect": 226,
        "madvise": 233,
        "prlimit64": 261,
        "seccomp": 277,
        "getrandom": 278,
        "rseq": 293,
        "pidfd_open": 434,
        "close_range": 436,
    },
)

ARCHITECTURES: Mapping[str, Architecture] = {"x86_64": X86_64, "aarch64": AARCH64}

# Where the kernel puts things for a filter to load.
_NUMBER, _AUDIT, _ARGUMENTS = 0, 4, 16

# Instructions of classic BPF: load a word, jump if equal / at least / any bit set, return.
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


@cache
def program(architecture: Architecture, allowed: tuple[str, ...]) -> bytes:
    """Return the filter that allows these calls, in the kernel's form: 8 bytes per instruction."""
    return b"".join(
        [
            _instruction(_LOAD, _AUDIT),
            _instruction(_JUMP_EQUAL, architecture.audit, if_true=1),
            _instruction(_RETURN, KILL),
            _instruction(_LOAD, _NUMBER),
            *_refuse_foreign(architecture.foreign_from),
            *(_rule(architecture.numbers[name], name) for name in allowed if name in architecture.numbers),
            _instruction(_RETURN, REFUSE),
        ]
    )


def _refuse_foreign(first: int | None) -> list[bytes]:
    if first is None:
        return []
    return [_instruction(_JUMP_AT_LEAST, first, if_false=1), _instruction(_RETURN, KILL)]


def _rule(number: int, name: str) -> bytes:
    # The number is still loaded when the rule is jumped over, and each rule returns: so rules are independent.
    body = b"".join(map(_check, CONDITIONS.get(name, ()))) + _instruction(_RETURN, ALLOW)
    return _instruction(_JUMP_EQUAL, number, if_false=len(body) // 8) + body


def _check(condition: Equals | Lacks) -> bytes:
    refuse = _instruction(_RETURN, REFUSE)
    # Both architectures are little-endian: the lower half of an argument comes first.
    low = _ARGUMENTS + 8 * condition.argument
    if isinstance(condition, Lacks):
        return _instruction(_LOAD, low) + _instruction(_JUMP_ANY_BIT, condition.bits, if_false=1) + refuse
    return b"".join(
        _instruction(_LOAD, offset) + _instruction(_JUMP_EQUAL, value, if_true=1) + refuse
        for offset, value in ((low, condition.value), (low + 4, 0))
    )


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def load(allowed: tuple[str, ...]) -> None:
    """Confine this process for good to the named system calls; it must have refused new privileges before.

    Raises ``OSError`` if the processor's numbers are not known or the kernel refuses the filter.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise OSError(errno.ENOSYS, "no system call filter is written for this kind of processor", platform.machine())
    instructions = program(architecture, allowed)
    filter_ = _Program(len(instructions) // 8, instructions)
    system_call(architecture.numbers["seccomp"], _SET_MODE_FILTER, 0, ctypes.byref(filter_))
