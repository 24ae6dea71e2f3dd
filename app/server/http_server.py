"""The HTTP server on its sockets: bounds on connections, and what happens when descriptors run out."""

from __future__ import annotations

import contextlib
import errno
import logging
import resource
import socket
from collections.abc import Callable, Iterable
from typing import Any, cast

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

from app.config import Config
from app.http.connections import Closable, Connections
from app.http.router import RequestRouter

_log = logging.getLogger("thetaloop")
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_SECONDS = 1.0
_ACCEPTED_AT_ONCE = 128
# For MongoDB, log, engine and sandbox; a worker takes two more.
_RESERVED_DESCRIPTORS = 128
_LEAST_CONNECTIONS = 16
_CLOSED_AT_ONCE = 16


def most_connections(config: Config) -> int:
    """How many connections the setting and the descriptors of this process allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return config.http.max_connections
    left = soft - _RESERVED_DESCRIPTORS - 2 * config.sandbox.max_workers
    return max(_LEAST_CONNECTIONS, min(config.http.max_connections, left))


class BoundedServer(HTTPServer):
    """Tornado's server with a bound on its connections; one without descriptors waits instead of spinning.

    Its callback is a ``RequestRouter``, which knows the connections.
    """

    @property
    def _bound(self) -> Connections:
        return cast(RequestRouter, self.request_callback).connections

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on these sockets."""
        for one in sockets:
            self._sockets[one.fileno()] = one
            self._handlers[one.fileno()] = _accepting(one, self._handle_connection, self._bound)

    def stop(self) -> None:
        """Accept what the kernel has taken already, and no more: closing the socket would reset those."""
        for one in self._sockets.values():
            with contextlib.suppress(OSError):
                while True:
                    self._handle_connection(*one.accept())
        super().stop()

    def on_close(self, server_conn: object) -> None:
        """Tornado callback: a connection is gone."""
        super().on_close(server_conn)
        self._bound.closed(cast(Closable, server_conn))


def _accepting(
    listener: socket.socket, accept: Callable[[socket.socket, Any], None], connections: Connections
) -> Callable[[], None]:
    """Accept connections until the function that is returned is called.

    Tornado's own would try again at once, for ever, while the process has no descriptors left.
    """
    loop = IOLoop.current()
    removed = False

    def ready(_: Any, __: int) -> None:
        for _number in range(_ACCEPTED_AT_ONCE):
            try:
                connection, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_RESOURCES:
                    raise
                return pause(error)
            accept(connection, address)

    def pause(error: OSError) -> None:
        _log.error("no connection can be accepted for a second: %s", error.strerror)
        connections.close_longest_idle(_CLOSED_AT_ONCE)
        loop.remove_handler(listener)
        loop.call_later(_PAUSE_SECONDS, resume)

    def resume() -> None:
        if not removed:
            loop.add_handler(listener, ready, IOLoop.READ)

    def remove() -> None:
        nonlocal removed
        removed = True
        loop.remove_handler(listener)

    resume()
    return remove
