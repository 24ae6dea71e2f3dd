"""The state that a process inherits: descriptors, environment, priority, and whom the kernel kills first.

Without this layer a worker could write to whatever the server left open, such as its log, and a busy worker could take
processor time or memory from the server.
"""

from __future__ import annotations

import os
import signal

# The only descriptor above the standard streams: the zygote's control socket, a worker's channel.
CHANNEL_FD = 3
# More than any process here has open.
BEYOND_FDS = 1 << 16
_KILL_FIRST = "1000"
_NICENESS = 10


def keep_only(fd: int) -> None:
    """Move a descriptor to ``CHANNEL_FD`` and close all others but the standard streams."""
    # Some libraries turn dup2 of a descriptor onto itself into a call that the zygote's filter refuses.
    if fd != CHANNEL_FD:
        os.dup2(fd, CHANNEL_FD)
    os.closerange(CHANNEL_FD + 1, BEYOND_FDS)


def clear(control_fd: int) -> None:
    """Leave the zygote only its control socket; the lowest priority; and make it the first to be killed for memory."""
    os.environ.clear()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(CHANNEL_FD):
        os.dup2(null, stream)
    keep_only(control_fd)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(_KILL_FIRST)
    os.nice(_NICENESS)
    # The zygote cannot wait for its children (the filter refuses it), so the kernel must reap them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
