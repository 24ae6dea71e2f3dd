"""The process from which workers are forked: it imports everything once, so that a worker is ready in milliseconds.

It is started by exec with an empty environment and one socket, so it inherits no memory, secret or descriptor of the
server. A worker forked from the server itself would hold all its secrets.

It is single-threaded and answers one kind of request: a message with a socket, by the worker's process id and a
descriptor of that process. After it has confined itself (``confinement``) it reports which layers hold, and forks
nothing unless the self-test passed.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import socket
from typing import Any, NoReturn

import msgspec

from app.sandbox.confinement import process_state
from app.sandbox.confinement.layers import Layers, confine_worker, confine_zygote
from app.sandbox.worker import main as worker
from app.sandbox.worker.imports import preload


class ZygoteOptions(msgspec.Struct):
    """The options with which the server starts the zygote. ``layers`` is for tests: no setting names it."""

    memory_mb: int
    cpu_seconds: int
    niceness: int = 0
    layers: dict[str, bool] = {}


def start(arguments: list[str]) -> NoReturn:
    """The entry point: the number of the control socket, and the options as JSON."""
    main(int(arguments[0]), msgspec.json.decode(arguments[1], type=ZygoteOptions))


def main(control_fd: int, options: ZygoteOptions) -> NoReturn:
    """Confine this process, then fork a worker for every socket that arrives, until the server hangs up."""
    preload()
    gc.collect()
    os.nice(options.niceness)
    layers = Layers(**options.layers)
    process_state.keep_only(control_fd)
    control = socket.socket(fileno=process_state.CHANNEL_FD)
    try:
        active = confine_zygote(layers, memory_mb=options.memory_mb, control_fd=process_state.CHANNEL_FD)
    except OSError as error:
        _send(control, {"safe": False, "reason": str(error)})
        os._exit(1)
    _send(control, dataclasses.asdict(active) | {"safe": active.safe})
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 1)
        if not message:
            os._exit(0)
        try:
            pid = os.fork()
            if pid == 0:
                _become_worker(control, descriptors[0], layers, options.cpu_seconds)
            _send_worker(control, pid)
        except OSError as error:  # too many processes, no memory, or the worker is dead already
            socket.send_fds(control, [f"no worker could be forked: {error}".encode()], [])
        os.close(descriptors[0])


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    socket.send_fds(control, [msgspec.json.encode(message)], [])


def _send_worker(control: socket.socket, pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    socket.send_fds(control, [str(pid).encode()], [pidfd])
    os.close(pidfd)


def _become_worker(control: socket.socket, channel: int, layers: Layers, cpu_seconds: int) -> NoReturn:
    try:
        control.detach()
        confine_worker(layers, channel_fd=channel, cpu_seconds=cpu_seconds)
        worker.serve()
    finally:
        os._exit(1)
