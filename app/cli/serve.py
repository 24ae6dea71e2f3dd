"""``thetaloop serve`` and ``thetaloop demo``: run the server until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any

import uvloop

from app.cli import demo
from app.cli.arguments import between, port
from app.config import Config
from app.server import multiprocess
from app.server.assemble import running_services
from app.server.sockets import raise_descriptor_limit
from app.server.web import listening


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add both commands."""
    for name, command, summary in (
        ("serve", _serve, "run the server"),
        ("demo", _demo, "run the server with an account and experiments to try"),
    ):
        sub = commands.add_parser(name, help=summary, description=summary, parents=[common])
        sub.add_argument("--port", type=port, help="TCP port; 0 picks a free one (setting server.port)")
        sub.add_argument("--address", help="address to listen on (setting server.address)")
        sub.add_argument(
            "--processes",
            type=between(1, 64),
            metavar="N",
            help="HTTP processes in front of one engine process; 1 runs all in one (setting server.processes)",
        )
        sub.set_defaults(command=command)


def _serve(config: Config, options: argparse.Namespace) -> None:
    _run(config, announce=None)


def _demo(config: Config, options: argparse.Namespace) -> None:
    _run(config, announce=demo.prepared)


def _run(config: Config, announce: multiprocess.Announce | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    raise_descriptor_limit()
    if config.server.processes > 1:
        multiprocess.serve(config, announce, _say)
    else:
        uvloop.run(_run_alone(config, announce))


async def _run_alone(config: Config, announce: multiprocess.Announce | None) -> None:
    """Everything in this process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running_services(config) as services, listening(services) as url:
        _say(url, await announce(services, url) if announce else "")
        await stop.wait()


def _say(url: str, text: str) -> None:
    print(f"listening on {url}", flush=True)
    if text:
        print(text, flush=True)
