"""The composition root: it knows every concrete class, puts them together, starts and stops them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.config import Config
from app.engine.api import EngineAPI, ScriptChecker, TrialAPI
from app.engine.engine import Engine
from app.engine.limits import Limits
from app.engine.trial import Trials
from app.errors import ConfigurationError, MongodUnavailable, StoreUnavailable
from app.ipc.client import EngineClient
from app.ipc.remote import RemoteEngine, RemotePool, RemoteTrials
from app.ipc.server import EngineServer
from app.jobs.runner import Jobs
from app.jobs.times import Times
from app.sandbox.host.interpreter import LIVE, SAME_BYTES, Interpreter
from app.sandbox.host.pool import Pool
from app.sandbox.host.unsafe import PlainProcesses
from app.sandbox.host.zygote_client import Source, Zygote
from app.sandbox.protocol import FRAME_ITEMS
from app.server.sockets import private_socket
from app.services.accounts import Accounts
from app.services.catalogue import Catalogue
from app.services.experiments import ExperimentService
from app.services.exports import ExportService
from app.services.files import FileService
from app.services.services import Services
from app.services.simulations import SimulationService
from app.services.statistics import Statistics
from app.services.trials import TrialService
from app.simulation.dask import Cluster
from app.simulation.runner import Simulators
from app.storage.client import connect, require_replica_set
from app.storage.embedded import EmbeddedMongo
from app.storage.head_stream import HeadChangeStream
from app.storage.store import Store

_log = logging.getLogger("thetaloop")
_WATCH_SECONDS = 0.5
_HEADER_BYTES = 64 * 2**10
_CLOSE_SECONDS = 20.0


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Store]:
    """The store that the configuration names, ready for use; a private mongod is started if it names none."""
    async with AsyncExitStack() as stack:
        uri = config.mongodb.uri
        if not uri:
            # 0700 before anything lies in it: it will hold the database and the secrets.
            config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            embedded = EmbeddedMongo(config.data_dir)
            uri = await asyncio.to_thread(embedded.acquire)
            stack.push_async_callback(asyncio.to_thread, embedded.release)
            await stack.enter_async_context(_background(_watch(embedded)))
        database = config.mongodb.database
        store = Store(connect(uri, database), HeadChangeStream(connect(uri, database, streams=True)))
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
    pool = Pool(_source(config), config.sandbox.max_workers, single_use=config.sandbox.single_use)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


def cluster_of(config: Config) -> Cluster | None:
    """The Dask cluster for repetitions of simulations, if there is to be one."""
    address = config.simulation.dask_scheduler
    return Cluster(address, config.sandbox.memory_mb) if address else None


@asynccontextmanager
async def running_simulators(config: Config, places: int) -> AsyncIterator[tuple[Simulators, Limits]]:
    """The workers that simulate, so many at once, and the limits of what they run."""
    simulators = Simulators(_source(config, SAME_BYTES), places)
    try:
        yield simulators, _limits(config)
    finally:
        await simulators.stop()


def _source(config: Config, interpreter: Interpreter = LIVE) -> Source:
    if not config.sandbox.unsafe:
        return Zygote(config.sandbox.memory_mb, interpreter=interpreter)
    if not _is_loopback(config.server.address):
        raise ConfigurationError(
            "sandbox.unsafe: scripts that are not confined may do whatever this account may, so this is only allowed "
            f"where server.address is a loopback address such as 127.0.0.1, not {config.server.address!r}"
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
    places = config.simulation.max_workers
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
        host = EngineServer(*parts)
        await host.start(private_socket(path))
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(config.server.drain_seconds + _CLOSE_SECONDS):
                    await host.idle()
            await host.close()


@asynccontextmanager
async def running_front(config: Config, path: Path, number: int) -> AsyncIterator[Services]:
    """Everything but HTTP of one HTTP process of several, counted from 0; the engine process is called at ``path``."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened_store(config))
        limits = _limits(config)
        client = EngineClient(path, limits)
        stack.push_async_callback(client.close)
        await client.open()
        engine = RemoteEngine(client, limits)
        stack.push_async_callback(engine.close)
        # Simulations run where they are asked for: each process has its share of the places, and at least one.
        places, more = divmod(config.simulation.max_workers, config.server.processes)
        places = max(1, places + (number < more))
        remote = engine, RemotePool(client), RemoteTrials(client)
        yield await stack.enter_async_context(_services(config, store, *remote, places))


def confinement_told(active: dict[str, Any]) -> str:
    """What confines scripts, as a line for the log.

    >>> confinement_told({"seccomp": True, "landlock": 7, "namespaces": False, "breaches": [], "safe": True})
    'confinement of scripts: seccomp, landlock'
    >>> confinement_told({"safe": False, "unsafe": True})
    'confinement of scripts: none, as sandbox.unsafe is set'
    """
    if active.get("unsafe"):
        return "confinement of scripts: none, as sandbox.unsafe is set"
    if not active["safe"]:
        return f"confinement of scripts: none, so they are refused: {active.get('reason') or active.get('breaches')}"
    layers = [name for name, state in active.items() if state and name not in ("safe", "breaches")]
    return f"confinement of scripts: {', '.join(layers)}"


@asynccontextmanager
async def _running_engine(config: Config, store: Store) -> AsyncIterator[tuple[Engine, Pool, Trials]]:
    async with running_pool(config) as pool, AsyncExitStack() as stack:
        _log.info("%s", confinement_told(pool.active))
        engine = Engine(store, pool, _limits(config))
        stack.push_async_callback(engine.close)
        jobs = Jobs(store, engine, _times(config))
        stack.push_async_callback(jobs.stop)
        await jobs.start()
        yield engine, pool, Trials(store, pool, _limits(config))


@asynccontextmanager
async def _services(
    config: Config, store: Store, engine: EngineAPI, pool: ScriptChecker, trials: TrialAPI, places: int
) -> AsyncIterator[Services]:
    """What handlers call, on whatever engine; ``places`` for simulations."""
    async with running_simulators(config, places) as (simulators, limits), AsyncExitStack() as stack:
        simulations = SimulationService(store, engine, simulators, limits, cluster_of(config))
        stack.push_async_callback(simulations.close)
        accounts = Accounts(store)
        stack.callback(accounts.close)
        exports = ExportService(store, timedelta(hours=config.files.keep_hours))
        stack.push_async_callback(exports.close)
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
            files=FileService(store),
            exports=exports,
        )


def _times(config: Config) -> Times:
    return Times(
        snapshot=60 * config.jobs.snapshot_minutes,
        timeouts=config.jobs.timeout_check_seconds,
        fold=config.jobs.fold_seconds,
        purge=config.jobs.purge_seconds,
        purge_after=config.jobs.purge_after_seconds,
    )


def _limits(config: Config) -> Limits:
    return Limits(
        call_seconds=config.sandbox.call_seconds,
        timeout_seconds=config.mongodb.timeout_seconds,
        queue_calls=config.engine.queue_calls,
        queue_calls_per_experiment=config.engine.queue_calls_per_experiment,
        queue_bytes=config.engine.queue_mb * 2**20,
        # A worker for each call means a batch for each call.
        batch_calls=1 if config.sandbox.single_use else min(config.engine.batch_calls, FRAME_ITEMS),
        theta_range_max=config.theta.range_max,
        theta_cache_bytes=config.theta.cache_mb * 2**20,
    )
