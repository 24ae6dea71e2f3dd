"""HTTP: the application with the routes of every API and page, and the server that listens for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from tornado.httpserver import HTTPServer

from app.dashboard.assets import Assets
from app.errors import ConfigurationError
from app.http.in_flight import InFlightRequests
from app.http.router import RequestRouter
from app.secrets import kept_secret
from app.server.dialects import OPERATIONS, served_dialects
from app.server.sockets import bound_sockets, url_of
from app.services.services import Services

_HEADER_BYTES = 64 * 2**10
_CLOSE_SECONDS = 20.0


@asynccontextmanager
async def listening(services: Services, sockets: list[socket.socket] | None = None) -> AsyncIterator[str]:
    """Run the HTTP server on these sockets or its own; yield its URL. On leaving, finish the requests in flight."""
    config = services.config
    in_flight = InFlightRequests()
    server = HTTPServer(
        _router(services, await _cookie_secret(services), in_flight),
        xheaders=config.http.xheaders,
        max_header_size=_HEADER_BYTES,
        max_body_size=config.http.max_body_mb * 2**20,
        idle_connection_timeout=75,
    )
    sockets = sockets or bound_sockets(config, config.server.port)
    server.add_sockets(sockets)
    try:
        yield url_of(sockets)
    finally:
        server.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await services.simulations.close()
                await services.exports.close()
                await in_flight.close()
                await services.engine.close()
                await server.close_all_connections()


def _router(services: Services, cookie_secret: str, in_flight: InFlightRequests) -> RequestRouter:
    return RequestRouter(
        served_dialects(services.config.http.dialects),
        services,
        in_flight,
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
