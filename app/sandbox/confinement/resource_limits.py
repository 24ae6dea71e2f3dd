"""The confinement layer of resource limits: memory, processor time, descriptors, processes.

Without it a script that allocates in a loop uses up the machine's memory, one that the server failed to stop keeps a
core busy for ever, and a crash writes the worker's memory to the disk.
"""

from __future__ import annotations

import resource

# The zygote holds its standard streams, the control socket and, for a moment, the socket of a worker to be.
_ZYGOTE_DESCRIPTORS = 16
# The standard streams and the channel.
_WORKER_DESCRIPTORS = 4


def limit_zygote(memory_mb: int) -> None:
    """Set the limits of the zygote, which its workers inherit; ``memory_mb`` counts address space."""
    # Address space is what is counted, so the libraries mapped at import are part of it.
    _cap(resource.RLIMIT_AS, memory_mb << 20)
    _cap(resource.RLIMIT_NOFILE, _ZYGOTE_DESCRIPTORS)
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_MSGQUEUE):
        _cap(kind, 0)


def limit_worker(cpu_seconds: int) -> None:
    """Set the limits of a worker alone: no further process, and ``cpu_seconds`` of processor time in all."""
    # With the hard limit equal to the soft one the kernel kills; a script could ignore the soft limit's signal.
    _cap(resource.RLIMIT_CPU, cpu_seconds)
    _cap(resource.RLIMIT_NPROC, 0)
    _cap(resource.RLIMIT_NOFILE, _WORKER_DESCRIPTORS)


def _cap(kind: int, ceiling: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        ceiling = min(ceiling, hard)
    resource.setrlimit(kind, (ceiling, ceiling))
