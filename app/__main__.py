"""The command line: ``thetaloop serve``, ``demo``, ``check``, ``simulate`` and ``user ...``.

Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from app import demo, fleet, simulate
from app.config import Config, load
from app.domain.experiment import SCRIPTS
from app.domain.simulation import MOST_DRAWS, MOST_REPEATS, Plan, new_seed
from app.errors import ThetaloopError
from app.sandbox.protocol import Fault
from app.server import cluster_of, listening, opened_store, running_pool, running_services, running_simulators
from app.services.accounts import Accounts


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, summary in (
        ("serve", _serve, "run the server"),
        ("demo", _demo, "run the server with an account and experiments to try"),
    ):
        sub = commands.add_parser(name, help=summary, description=summary, parents=[common])
        sub.add_argument("--port", type=_port, help="TCP port; 0 picks a free one (setting server.port)")
        sub.add_argument("--address", help="address to listen on (setting server.address)")
        sub.add_argument(
            "--processes",
            type=_between(1, 64),
            metavar="N",
            help="HTTP processes in front of one engine process; 1 runs all in one (setting server.processes)",
        )
        sub.set_defaults(command=command)
    summary = "look for mistakes in the four scripts of a folder, without running them"
    check = commands.add_parser("check", help=summary, description=summary, parents=[common])
    check.add_argument("folder", type=_folder, metavar="FOLDER", help="holds get_context.py, get_action.py and so on")
    check.set_defaults(command=_check)
    _add_simulate(commands, common)
    _add_user_commands(commands, common)
    return parser


def _add_simulate(commands: Any, common: argparse.ArgumentParser) -> None:
    summary = "simulate an experiment, without a server"
    sub = commands.add_parser("simulate", help=summary, description=summary, parents=[common])
    sub.add_argument("subject", metavar="FOLDER|DEFAULT", help="a folder with scripts, or a ready-made experiment")
    sub.add_argument("--n", type=_between(1, MOST_DRAWS), default=1_000, help="draws (default: 1000)")
    sub.add_argument("--seed", type=int, metavar="S", help="the same seed gives the same run (default: drawn)")
    sub.add_argument("--repeat", type=_between(1, MOST_REPEATS), default=1, metavar="R", help="repetitions")
    sub.add_argument("--out", type=Path, metavar="FILE.jsonl", help="write every draw")
    sub.add_argument(
        "--with",
        type=_called,
        action="append",
        default=[],
        dest="others",
        metavar="ID=FOLDER|DEFAULT",
        help="what Experiment(ID) is in the scripts; ready-made experiments are found by their names",
    )
    sub.add_argument("--plot", type=_picture, metavar="FILE.png|svg", help="draw reward, arms and regret")
    sub.set_defaults(command=_simulate)


def _add_user_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    user = commands.add_parser("user", help="manage accounts", description="manage accounts")
    actions = user.add_subparsers(required=True, metavar="ACTION")
    for name, action, summary in (
        ("add", _user_add, "add an account"),
        ("passwd", _user_passwd, "set an account's password"),
        ("remove", _user_remove, "remove an account"),
        ("list", _user_list, "list the accounts"),
    ):
        sub = actions.add_parser(name, help=summary, description=summary, parents=[common])
        if name != "list":
            sub.add_argument("name", metavar="NAME")
        if name in ("add", "passwd"):
            sub.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        if name == "add":
            sub.add_argument("--admin", action="store_true", help="may add and remove others")
        sub.set_defaults(command=action)


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return Path(text)


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least:,} to {most:,}")
        return int(text)

    return number


def _called(text: str) -> tuple[str, str]:
    exp_id, _, other = text.partition("=")
    if not exp_id or not other:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an id, an equals sign, and a folder or ready-made experiment"
        )
    return exp_id, other


def _picture(text: str) -> Path:
    if Path(text).suffix not in (".png", ".svg"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .png or .svg")
    return Path(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _serve(config: Config, options: argparse.Namespace) -> None:
    _run(config, announce=None)


def _demo(config: Config, options: argparse.Namespace) -> None:
    _run(config, announce=demo.prepared)


def _run(config: Config, announce: fleet.Announce | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    if config["server.processes"] > 1:
        fleet.serve(config, announce, _say)
    else:
        uvloop.run(_run_alone(config, announce))


async def _run_alone(config: Config, announce: fleet.Announce | None) -> None:
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


async def _simulate(config: Config, options: argparse.Namespace) -> None:
    subject = simulate.read(simulate.find(options.subject), dict(options.others))
    plan = Plan(options.n, new_seed() if options.seed is None else options.seed, options.repeat)
    async with running_simulators(config, min(options.repeat, os.cpu_count() or 1)) as (simulators, limits):
        files, cluster = (options.out, options.plot), cluster_of(config)
        print(await simulate.simulate(subject, plan, simulators, limits, *files, cluster))


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


async def _user_add(config: Config, options: argparse.Namespace) -> int:
    password = _password(options)
    if password is None:
        return 2
    async with opened_store(config) as store:
        await Accounts(store).add(options.name, password, admin=options.admin)
    print(f"added {options.name}")
    return 0


async def _user_passwd(config: Config, options: argparse.Namespace) -> int:
    password = _password(options)
    if password is None:
        return 2
    async with opened_store(config) as store:
        await Accounts(store).set_password(options.name, password)
    print(f"changed the password of {options.name}")
    return 0


async def _user_remove(config: Config, options: argparse.Namespace) -> int:
    async with opened_store(config) as store:
        await Accounts(store).remove(options.name)
    print(f"removed {options.name}")
    return 0


async def _user_list(config: Config, options: argparse.Namespace) -> int:
    async with opened_store(config) as store:
        for user in await Accounts(store).all():
            print(f"{user.name}\tadmin" if user.admin else user.name)
    return 0


def _password(options: argparse.Namespace) -> str | None:
    """The password from standard input or the terminal; None, with a word why, if there is neither."""
    if options.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        print("thetaloop: no terminal to ask for the password; give it with --password-stdin", file=sys.stderr)
        return None
    try:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") == password:
            return password
        complaint = "the two passwords differ"
    except EOFError:
        complaint = "no password was given"
    print(f"thetaloop: {complaint}", file=sys.stderr)
    return None


if __name__ == "__main__":
    sys.exit(main())
