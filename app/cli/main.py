"""The command line: ``thetaloop serve``, ``demo``, ``check``, ``simulate``, ``analyse`` and ``user ...``.

Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop

from app.cli import analyse, check, serve, simulate, users
from app.config import load
from app.errors import ThetaloopError
from app.observability.logging import configure

_COMMANDS = (serve, check, simulate, analyse, users)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    configure()
    try:
        config = load(options.config, _overrides(options))
        done = options.command(config, options)
        return (uvloop.run(done) if isinstance(done, Coroutine) else done) or 0
    except ThetaloopError as error:
        print(f"thetaloop: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line sets, by the setting's name."""
    given = {
        "data_dir": options.data_dir,
        "server.port": getattr(options, "port", None),
        "server.address": getattr(options, "address", None),
        "server.processes": getattr(options, "processes", None),
    }
    return {name: value for name, value in given.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="settings (default: ./config.yml if present)")
    common.add_argument("--data-dir", metavar="DIR", help="data folder (setting data_dir)")
    parser = argparse.ArgumentParser(prog="thetaloop", description="A server for sequential experiments.")
    parser.add_argument("--version", action="version", version=f"thetaloop {version('thetaloop')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands, common)
    return parser
