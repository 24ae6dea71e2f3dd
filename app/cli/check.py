"""``thetaloop check FOLDER``: look for mistakes in four scripts, without running them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app.cli.arguments import folder
from app.config import Config
from app.domain.experiment import SCRIPTS
from app.sandbox.protocol import Fault
from app.server.assemble import running_pool


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    summary = "look for mistakes in the four scripts of a folder, without running them"
    check = commands.add_parser("check", help=summary, description=summary, parents=[common])
    check.add_argument("folder", type=folder, metavar="FOLDER", help="holds get_context.py, get_action.py and so on")
    check.set_defaults(command=_check)


async def _check(config: Config, options: argparse.Namespace) -> int:
    """Print each mistake with its place; 1 if there is an error among them."""
    scripts, found = _read_scripts(options.folder)
    async with running_pool(config) as pool:
        found += await pool.check(scripts, lint=True) if scripts else []
    for fault in sorted(found, key=lambda fault: SCRIPTS.index(fault.script)):
        path = options.folder / f"{fault.script}.py"
        print(f"{path}:{fault.line}:{fault.column}: {fault.severity}: {fault.message}")
    return 1 if any(fault.severity == "error" for fault in found) else 0


def _read_scripts(folder: Path) -> tuple[dict[str, str], list[Fault]]:
    """The scripts, and what keeps them from being read."""
    scripts: dict[str, str] = {}
    faults: list[Fault] = []
    for name in SCRIPTS:
        try:
            scripts[name] = (folder / f"{name}.py").read_text(encoding="utf-8")
        except OSError as error:
            faults.append(Fault(name, 1, 1, f"cannot be read: {error.strerror}; a script that does nothing is empty"))
        except UnicodeDecodeError:
            faults.append(Fault(name, 1, 1, "cannot be read: it is not UTF-8"))
    return scripts, faults
