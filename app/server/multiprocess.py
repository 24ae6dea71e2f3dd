"""The server in several processes: one with the engine, and HTTP processes in front of it that share the port.

Parsing HTTP is most of what a call costs, so this is how a server uses more than one processor. Everything that is not
the engine's is in each HTTP process, as it is in each of several servers on one database.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from app.config import Config
from app.errors import ConfigurationError
from app.server.assemble import running_engine_process, running_front
from app.server.sockets import bound_sockets, url_of
from app.server.supervisor import ChildHandle, ProcessSpec, Supervisor
from app.server.web import listening
from app.services.services import Services

Announce = Callable[[Services, str], Awaitable[str]]
_SOCKET_NAME = "engine.sock"
_MAX_PATH = 100
_PORT_SECONDS = 1.0
_RETRY_SECONDS = 0.05


def serve(config: Config, announce: Announce | None, ready: Callable[[str, str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is given the URL and what ``announce`` says."""
    with _private_folder() as folder:
        path = folder / _SOCKET_NAME
        shares = _shares(config)
        url = url_of(shares[0])
        fronts = [
            ProcessSpec(f"http-{number}", partial(_front, config, path, number, sockets, announce), sockets)
            for number, sockets in enumerate(shares)
        ]
        family = Supervisor(ProcessSpec("engine", partial(_engine, config, path)), fronts, config.server.drain_seconds)
        family.run(lambda said: ready(url, "\n".join(filter(None, said))))


async def _engine(config: Config, path: Path, lead: ChildHandle) -> None:
    try:
        async with running_engine_process(config, path):
            lead.ready()
            await lead.stopped()
    finally:
        if lead.orphaned:
            shutil.rmtree(path.parent, ignore_errors=True)


async def _front(
    config: Config, path: Path, number: int, sockets: list[socket.socket], announce: Announce | None, lead: ChildHandle
) -> None:
    async with running_front(config, path, number) as services, listening(services, sockets) as url:
        told = await announce(services, url) if announce and number == 0 and lead.first else ""
        lead.ready(told)
        await lead.stopped()


def _shares(config: Config) -> list[list[socket.socket]]:
    """Sockets on the same port for each HTTP process; the kernel deals out connections to them."""
    # Sockets that share a port let anybody of this account join in, another server too: so first alone.
    alone = _bound_alone(config)
    port = alone[0].getsockname()[1]
    for one in alone:
        one.close()
    return [bound_sockets(config, port, shared=True) for _ in range(config.server.processes)]


def _bound_alone(config: Config) -> list[socket.socket]:
    """Sockets on the port; what a killed parent left behind has it for a moment longer."""
    deadline = time.monotonic() + _PORT_SECONDS
    while True:
        try:
            return bound_sockets(config, config.server.port)
        except ConfigurationError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_SECONDS)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder for this account alone, whose path is short enough for a socket, whatever the data folder is."""
    bases = [base for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp") if base]
    for base in bases:
        if len(f"{base}/thetaloop-12345678/{_SOCKET_NAME}") <= _MAX_PATH and os.access(base, os.W_OK):
            made = Path(tempfile.mkdtemp(prefix="thetaloop-", dir=base))  # 0700
            break
    else:
        raise ConfigurationError(
            f"server.processes: there is no place for the socket between the processes: none of {', '.join(bases)} is "
            "a writable folder with a short path; set XDG_RUNTIME_DIR to one"
        )
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
