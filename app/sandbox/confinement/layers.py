"""Apply the confinement layers in the order in which they can be applied: most in the zygote, the rest per worker.

Both functions are for single-threaded processes and cannot be undone. Whatever a script may use is imported before
``confine_zygote``, because no file can be opened after it. Each layer is a module that says what it is for:
``process_state``, ``namespaces``, ``privileges``, ``landlock``, ``resource_limits`` and ``seccomp``.
"""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass

from app.sandbox.confinement import (
    landlock,
    namespaces,
    privileges,
    process_state,
    resource_limits,
    seccomp,
    self_test,
)

_SELF_TEST_CPU_SECONDS = 5
_END = b"."


@dataclass(frozen=True)
class Layers:
    """Which layers to apply: all of them, except in tests that show what each one stops."""

    seccomp: bool = True
    landlock: bool = True
    namespaces: bool = True
    rlimits: bool = True
    privileges: bool = True


@dataclass(frozen=True)
class Active:
    """The layers that hold. No script may run unless ``safe``; the other layers are optional and only reported."""

    seccomp: bool
    landlock: int  # the kernel's version of it, 0 without
    namespaces: bool
    empty_root: bool  # in the namespaces; not every system that grants them grants this
    rlimits: bool
    privileges: bool
    breaches: tuple[str, ...]  # what the self-test could do and should not

    @property
    def safe(self) -> bool:
        """Whether the system call filter, on which all else rests, is loaded and has passed its test."""
        return self.seccomp and not self.breaches


def confine_zygote(layers: Layers, *, memory_mb: int, control_fd: int) -> Active:
    """Confine the zygote and return which layers hold; its control socket is on ``CHANNEL_FD`` from then on.

    Raises ``OSError`` where the system call filter cannot be loaded: then no script may run at all.
    """
    process_state.clear(control_fd)
    isolated = layers.namespaces and namespaces.enter()
    emptied = isolated and namespaces.empty_root()
    dropped = layers.privileges and privileges.drop()
    privileges.refuse_new_privileges()
    privileges.die_with_parent()
    restricted = landlock.enter() if layers.landlock else 0
    process_state.keep_only(process_state.CHANNEL_FD)
    if layers.rlimits:
        resource_limits.limit_zygote(memory_mb)
    if isolated:
        namespaces.hold_open()
    # A collection in a worker would otherwise touch, and thereby copy, every page that it shares with the zygote.
    gc.freeze()
    # Not among the calls that the filter leaves.
    answer, question = os.pipe()
    if layers.seccomp:
        seccomp.load(seccomp.BASE)
    breaches = _run_self_test(layers, answer, question)
    return Active(layers.seccomp, restricted, isolated, emptied, layers.rlimits, dropped, breaches)


def confine_worker(layers: Layers, *, channel_fd: int, cpu_seconds: int) -> None:
    """Confine a fresh child of the zygote; from then on it can only compute, and read and write ``CHANNEL_FD``."""
    process_state.keep_only(channel_fd)
    privileges.die_with_parent()
    if layers.rlimits:
        resource_limits.limit_worker(cpu_seconds)
    if layers.seccomp:
        seccomp.load(seccomp.FINAL)


def _run_self_test(layers: Layers, read_end: int, write_end: int) -> tuple[str, ...]:
    if os.fork() == 0:
        try:
            confine_worker(layers, channel_fd=write_end, cpu_seconds=_SELF_TEST_CPU_SECONDS)
            os.write(process_state.CHANNEL_FD, "\n".join(self_test.breaches()).encode() + _END)
        finally:
            os._exit(0)
    os.close(write_end)
    found = _read_all(read_end)
    os.close(read_end)
    if not found.endswith(_END):
        return ("the self-test did not finish",)
    return tuple(found.removesuffix(_END).decode().splitlines())


def _read_all(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 4096), b""))
