"""The composition root: it knows every concrete class, puts them together, starts and stops them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import ipaddress
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from app.config import Config
from app.dashboard import pages
from app.dashboard.assets import Assets
from app.engine.cluster import Cluster
from app.engine.engine import Engine
from app.engine.host import EngineHost
from app.engine.interface import AnyEngine, AnyPool, AnyTrials
from app.engine.limits import Limits
from app.engine.line import Line
from app.engine.remote import RemoteEngine, RemotePool, RemoteTrials
from app.engine.simulation import Simulators
from app.engine.trial import Trials
from app.errors import ConfigurationError, MongodUnavailable, StoreUnavailable
from app.http.base import NotFoundHandler
from app.http.dialect import Dialect
from app.http.public import PublicHandler, Reception
from app.http.under_way import UnderWay
from app.jobs.jobs import Jobs
from app.jobs.times import Times
from app.ops import health
from app.sandbox.interpreter import LIVE, SAME_BYTES, Interpreter
from app.sandbox.pool import Pool
from app.sandbox.protocol import FRAME_ITEMS
from app.sandbox.sources import Source, Zygote
from app.sandbox.unsafe import PlainProcesses
from app.secrets import kept_secret
from app.services.accounts import Accounts
from app.services.catalogue import Catalogue
from app.services.experiments import ExperimentService
from app.services.services import Services
from app.services.simulations import SimulationService
from app.services.statistics import Statistics
from app.services.trials import TrialService
from app.storage.client import connect, require_replica_set
from app.storage.embedded import EmbeddedMongo
from app.storage.hints import HeadStream
from app.storage.store import Store

_log = logging.getLogger("thetaloop")
_WATCH_SECONDS = 0.5
_HEADER_BYTES = 64 * 2**10
_CLOSE_SECONDS = 20.0


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Store]:
    """The store that the configuration names, ready for use; a private mongod is started if it names none."""
    async with AsyncExitStack() as stack:
        uri = config["mongodb.uri"]
        if not uri:
            # 0700 before anything lies in it: it will hold the database and the secrets.
            config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            embedded = EmbeddedMongo(config.data_dir)
            uri = await asyncio.to_thread(embedded.acquire)
            stack.push_async_callback(asyncio.to_thread, embedded.release)
            await stack.enter_async_context(_background(_watch(embedded)))
        database = config["mongodb.database"]
        store = Store(connect(uri, database), HeadStream(connect(uri, database, streams=True)))
        stack.push_async_callback(store.close)
        await _reach(store)
        await store.prepare()
        yield store


async def _reach(store: Store) -> None:
    try:
        await require_replica_set(store.db)
    except StoreUnavailable as error:
        raise ConfigurationError(f"mongodb.uri: no MongoDB answers there: {error.__cause__}") from error


async def _watch(embedded: EmbeddedMongo) -> None:
    """Start the private mongod again when it dies."""
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        try:
            if await asyncio.to_thread(embedded.ensure):
                _log.warning("mongod had died and was started again")
        except MongodUnavailable as error:
            _log.error("%s", error)


@asynccontextmanager
async def _background(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def running_pool(config: Config) -> AsyncIterator[Pool]:
    """The workers that run scripts."""
    pool = Pool(_source(config), config["sandbox.max_workers"], single_use=config["sandbox.single_use"])
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


def cluster_of(config: Config) -> Cluster | None:
    """The Dask cluster for repetitions of simulations, if there is to be one."""
    address = config["simulation.dask_scheduler"]
    return Cluster(address, config["sandbox.memory_mb"]) if address else None


@asynccontextmanager
async def running_simulators(config: Config, places: int) -> AsyncIterator[tuple[Simulators, Limits]]:
    """The workers that simulate, so many at once, and the limits of what they run."""
    simulators = Simulators(_source(config, SAME_BYTES), places)
    try:
        yield simulators, _limits(config)
    finally:
        await simulators.stop()


def _source(config: Config, interpreter: Interpreter = LIVE) -> Source:
    if not config["sandbox.unsafe"]:
        return Zygote(config["sandbox.memory_mb"], interpreter=interpreter)
    if not _is_loopback(config["server.address"]):
        raise ConfigurationError(
            "sandbox.unsafe: scripts without walls may do whatever this account may, so this is only allowed where "
            f"server.address is a loopback address such as 127.0.0.1, not {config['server.address']!r}"
        )
    return PlainProcesses(interpreter)


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def running_services(config: Config) -> AsyncIterator[Services]:
    """Everything but HTTP, started; stopped in the opposite order."""
    places = config["simulation.max_workers"]
    async with (
        opened_store(config) as store,
        _running_engine(config, store) as (engine, pool, trials),
        _services(config, store, engine, pool, trials, places) as services,
    ):
        yield services


@asynccontextmanager
async def running_engine_process(config: Config, path: Path) -> AsyncIterator[None]:
    """What the engine process of several does: the engine, its workers and the jobs, for whoever calls at ``path``.

    On leaving, it first waits until the HTTP processes have gone.
    """
    async with opened_store(config) as store, _running_engine(config, store) as parts:
        host = EngineHost(*parts)
        await host.start(_private_socket(path))
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await host.idle()
            await host.close()


@asynccontextmanager
async def running_front(config: Config, path: Path, number: int) -> AsyncIterator[Services]:
    """Everything but HTTP of one HTTP process of several, counted from 0; the engine process is called at ``path``."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened_store(config))
        limits = _limits(config)
        line = Line(path, limits)
        stack.push_async_callback(line.close)
        await line.open()
        engine = RemoteEngine(line, limits)
        stack.push_async_callback(engine.close)
        # Simulations run where they are asked for: each process has its share of the places, and at least one.
        places, more = divmod(config["simulation.max_workers"], config["server.processes"])
        places = max(1, places + (number < more))
        remote = engine, RemotePool(line), RemoteTrials(line)
        yield await stack.enter_async_context(_services(config, store, *remote, places))


def _private_socket(path: Path) -> socket.socket:
    """A socket that listens at ``path``, whoever listened there before."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    os.chmod(path, 0o600)
    return listener


@asynccontextmanager
async def _running_engine(config: Config, store: Store) -> AsyncIterator[tuple[Engine, Pool, Trials]]:
    async with running_pool(config) as pool, AsyncExitStack() as stack:
        _log.info("the walls around scripts: %s", pool.active)
        engine = Engine(store, pool, _limits(config))
        stack.push_async_callback(engine.close)
        jobs = Jobs(store, engine, _times(config))
        stack.push_async_callback(jobs.stop)
        await jobs.start()
        yield engine, pool, Trials(store, pool, _limits(config))


@asynccontextmanager
async def _services(
    config: Config, store: Store, engine: AnyEngine, pool: AnyPool, trials: AnyTrials, places: int
) -> AsyncIterator[Services]:
    """What handlers call, on whatever engine; ``places`` for simulations."""
    async with running_simulators(config, places) as (simulators, limits), AsyncExitStack() as stack:
        simulations = SimulationService(store, engine, simulators, limits, cluster_of(config))
        stack.push_async_callback(simulations.close)
        accounts = Accounts(store)
        stack.callback(accounts.close)
        experiments = ExperimentService(store, engine, pool)
        yield Services(
            config=config,
            store=store,
            engine=engine,
            pool=pool,
            accounts=accounts,
            experiments=experiments,
            statistics=Statistics(store),
            simulations=simulations,
            trials=TrialService(experiments, trials),
            catalogue=Catalogue(),
        )


@asynccontextmanager
async def listening(services: Services, sockets: list[socket.socket] | None = None) -> AsyncIterator[str]:
    """The HTTP server, on these sockets or its own; yields its URL. On leaving, calls under way are answered first."""
    config = services.config
    under_way = UnderWay()
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


def bound_sockets(config: Config, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Sockets that listen on the configured address, one for each kind; ``shared`` ones may be there several times."""
    try:
        return bind_sockets(port, config["server.address"], reuse_port=shared)
    except OSError as error:
        where = f"{config['server.address']}:{port}"
        raise ConfigurationError(f"server.address, server.port: cannot listen on {where}: {error.strerror}") from error


def url_of(sockets: list[socket.socket]) -> str:
    """Where clients find the server."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _reception(services: Services, cookie_secret: str, under_way: UnderWay) -> Reception:
    routes = [
        *health.ROUTES,
        *pages.ROUTES,
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
    return Reception(public, application, services, under_way)


def _is_public(handler: type) -> bool:
    return issubclass(handler, PublicHandler)


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


def _times(config: Config) -> Times:
    return Times(
        snapshot=60 * config["jobs.snapshot_minutes"],
        timeouts=config["jobs.timeout_check_seconds"],
        fold=config["jobs.fold_seconds"],
        purge=config["jobs.purge_seconds"],
        purge_after=config["jobs.purge_after_seconds"],
    )


def _limits(config: Config) -> Limits:
    return Limits(
        call_seconds=config["sandbox.call_seconds"],
        timeout_seconds=config["mongodb.timeout_seconds"],
        queue_calls=config["engine.queue_calls"],
        queue_calls_per_experiment=config["engine.queue_calls_per_experiment"],
        queue_bytes=config["engine.queue_mb"] * 2**20,
        # A worker for each call means a batch for each call.
        batch_calls=1 if config["sandbox.single_use"] else min(config["engine.batch_calls"], FRAME_ITEMS),
        theta_range_max=config["theta.range_max"],
        theta_cache_bytes=config["theta.cache_mb"] * 2**20,
    )
