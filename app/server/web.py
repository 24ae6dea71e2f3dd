"""HTTP: the application with the routes of every API and page, and the server that listens for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from app.dashboard.assets import Assets
from app.errors import ConfigurationError
from app.http.connections import Connections
from app.http.in_flight import InFlightRequests
from app.http.router import RequestRouter
from app.secrets import kept_secret
from app.server.dialects import OPERATIONS, served_dialects
from app.server.http_server import BoundedServer, most_connections
from app.server.sockets import bound_sockets, url_of
from app.services.disk import DataDisk
from app.services.services import Services

_HEADER_BYTES = 64 * 2**10
# What a connection may send ahead while it is not read from.
_BUFFER_BYTES = 256 * 2**10
_UNBOUNDED = 2**62
_CLOSE_SECONDS = 20.0
_REUSE_SECONDS = 0.2


@asynccontextmanager
async def listening(services: Services, sockets: list[socket.socket] | None = None) -> AsyncIterator[str]:
    """Run the HTTP server on these sockets or its own; yield its URL. On leaving, finish the requests in flight."""
    config = services.config
    in_flight = InFlightRequests()
    connections = Connections(most_connections(config))
    server = BoundedServer(
        _router(services, await _cookie_secret(services), in_flight, connections),
        xheaders=config.http.xheaders,
        max_header_size=_HEADER_BYTES,
        max_body_size=_UNBOUNDED,  # the router bounds bodies by their route, and answers
        max_buffer_size=_BUFFER_BYTES,
        idle_connection_timeout=config.http.idle_seconds,
        body_timeout=config.http.body_seconds,
    )
    sockets = sockets or bound_sockets(config, config.server.port)
    server.add_sockets(sockets)
    try:
        yield url_of(sockets)
    finally:
        in_flight.draining = True
        await asyncio.sleep(config.server.drain_seconds)
        server.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await services.simulations.close()
                await services.exports.close()
                await in_flight.close()
                await _unused(connections)
                await services.engine.close()
                await server.close_all_connections()


async def _unused(connections: Connections) -> None:
    """Wait until no client is likely to send one more call on a connection that is about to be closed.

    An answer tells clients to leave once the server ends, but those that were answered just before do not know it.
    """
    for _ in range(20):
        await asyncio.sleep(_REUSE_SECONDS / 4)
        if not connections.waited_less(_REUSE_SECONDS):
            return


def _router(
    services: Services, cookie_secret: str, in_flight: InFlightRequests, connections: Connections
) -> RequestRouter:
    config = services.config
    return RequestRouter(
        served_dialects(config.http.dialects),
        services,
        in_flight,
        connections,
        DataDisk(None if config.mongodb.uri else config.data_dir, config.mongodb.min_free_mb * 10**6),
        unknown=OPERATIONS,
        cookie_secret=cookie_secret,
        assets=Assets(),
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"},
    )


async def _cookie_secret(services: Services) -> str:
    """The secret given, or the one kept in the data folder; servers of one database must have the same."""
    config = services.config
    secret: str = config.http.cookie_secret
    if not config.mongodb.uri:
        return secret or kept_secret(config.data_dir, "cookie-secret")
    if len(secret) < 16:
        raise ConfigurationError(
            "http.cookie_secret: with mongodb.uri set, give at least 16 random characters, the same on all servers"
        )
    fingerprint = sha256(b"fingerprint:" + secret.encode()).hexdigest()[:16]
    if not await services.store.settings.agree("http.cookie_secret", fingerprint):
        raise ConfigurationError(
            "http.cookie_secret: another server of this database uses a different one; all need the same "
            "(to change it everywhere, delete the document 'http.cookie_secret' from the collection 'settings')"
        )
    return secret
