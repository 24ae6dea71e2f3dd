"""The sockets that the server listens on."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

from tornado.netutil import bind_sockets

from app.config import Config
from app.errors import ConfigurationError

# Connections that arrive faster than they are accepted wait here; with Tornado's 128 the others retry after a second.
_BACKLOG = 1_024


def raise_descriptor_limit() -> None:
    """Allow this process and its children as many open files as the system lets them have.

    A soft limit of 1,024, as systemd sets it, is used up by as many idle connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def bound_sockets(config: Config, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Sockets that listen on the configured address, one for each kind; ``shared`` ones may be there several times."""
    try:
        return bind_sockets(port, config.server.address, backlog=_BACKLOG, reuse_port=shared)
    except OSError as error:
        where = f"{config.server.address}:{port}"
        raise ConfigurationError(f"server.address, server.port: cannot listen on {where}: {error.strerror}") from error


def url_of(sockets: list[socket.socket]) -> str:
    """Where clients find the server."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def private_socket(path: Path) -> socket.socket:
    """A socket that listens at ``path``, whoever listened there before."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    os.chmod(path, 0o600)
    return listener
