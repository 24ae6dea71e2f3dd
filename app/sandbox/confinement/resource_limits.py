"""The wall of quantities: memory, processor time, descriptors, processes.

Without it a script that allocates for ever takes the whole machine's memory, one that the server failed to stop burns a
core until the machine is restarted, and a crash leaves the worker's memory on the disk.
"""

from __future__ import annotations

import resource

# The zygote holds its standard streams, the control socket and, for a moment, the socket of a worker to be.
_ZYGOTE_DESCRIPTORS = 16
# The standard streams and the channel.
_WORKER_DESCRIPTORS = 4


def limit_zygote(memory_mb: int) -> None:
    """What holds for the zygote and, by inheritance, for every worker."""
    # Address space is what is counted, so the libraries mapped at import are part of it.
    _cap(resource.RLIMIT_AS, memory_mb << 20)
    _cap(resource.RLIMIT_NOFILE, _ZYGOTE_DESCRIPTORS)
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_MSGQUEUE):
        _cap(kind, 0)


def limit_worker(cpu_seconds: int) -> None:
    """What the zygote itself could not live with: no further process, and an end to its life's processor time."""
    # With the hard limit equal to the soft one the kernel kills; a script could ignore the soft limit's signal.
    _cap(resource.RLIMIT_CPU, cpu_seconds)
    _cap(resource.RLIMIT_NPROC, 0)
    _cap(resource.RLIMIT_NOFILE, _WORKER_DESCRIPTORS)


def _cap(kind: int, ceiling: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        ceiling = min(ceiling, hard)
    resource.setrlimit(kind, (ceiling, ceiling))
