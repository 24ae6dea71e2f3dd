"""HTTP: the application with the routes of every API and page, and the server that listens for it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from tornado.httpserver import HTTPServer
from tornado.web import Application

from app.dashboard import routes as dashboard
from app.dashboard.assets import Assets
from app.errors import ConfigurationError
from app.http.base import NotFoundHandler
from app.http.dialect import Dialect
from app.http.fast_handler import FastHandler, RequestRouter
from app.http.in_flight import InFlightRequests
from app.ops import health
from app.secrets import kept_secret
from app.server.sockets import bound_sockets, url_of
from app.services.services import Services

_HEADER_BYTES = 64 * 2**10
_CLOSE_SECONDS = 20.0


@asynccontextmanager
async def listening(services: Services, sockets: list[socket.socket] | None = None) -> AsyncIterator[str]:
    """The HTTP server, on these sockets or its own; yields its URL. On leaving, calls under way are answered first."""
    config = services.config
    under_way = InFlightRequests()
    server = HTTPServer(
        _reception(services, await _cookie_secret(services), under_way),
        xheaders=config["http.xheaders"],
        max_header_size=_HEADER_BYTES,
        max_body_size=config["http.max_body_mb"] * 2**20,
        idle_connection_timeout=75,
    )
    sockets = sockets or bound_sockets(config, config["server.port"])
    server.add_sockets(sockets)
    try:
        yield url_of(sockets)
    finally:
        server.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await services.simulations.close()
                await under_way.close()
                await services.engine.close()
                await server.close_all_connections()


def _reception(services: Services, cookie_secret: str, under_way: InFlightRequests) -> RequestRouter:
    routes = [
        *health.ROUTES,
        *dashboard.ROUTES,
        *(route for name in services.config["http.dialects"] for route in _dialect(name).routes),
    ]
    application = Application(
        [(pattern, handler, {"services": services}) for pattern, handler in routes if not _is_public(handler)],
        default_handler_class=NotFoundHandler,
        default_handler_args={"services": services},
        cookie_secret=cookie_secret,
        under_way=under_way,
        assets=Assets(),
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"},
        log_function=lambda handler: None,
    )
    public = [(pattern, handler) for pattern, handler in routes if _is_public(handler)]
    return RequestRouter(public, application, services, under_way)


def _is_public(handler: type) -> bool:
    return issubclass(handler, FastHandler)


def _dialect(name: str) -> Dialect:
    try:
        module = importlib.import_module(f"app.dialects.{name}")
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"http.dialects: there is no API {name!r}") from error
    dialect: Dialect = module.DIALECT
    return dialect


async def _cookie_secret(services: Services) -> str:
    """The secret given, or the one kept in the data folder; servers of one database must have the same."""
    config = services.config
    secret: str = config["http.cookie_secret"]
    if not config["mongodb.uri"]:
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
