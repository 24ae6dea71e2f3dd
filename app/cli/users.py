"""``thetaloop user ...``: manage accounts."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from app.config import Config
from app.server.assemble import opened_store
from app.services.accounts import Accounts


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command with its actions."""
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
    """Return the password from standard input or the terminal; None, with a message on stderr, if there is none."""
    if options.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        print("thetaloop: no terminal to ask for the password; give it with --password-stdin", file=sys.stderr)
        return None
    try:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") == password:
            return password
        problem = "the two passwords differ"
    except EOFError:
        problem = "no password was given"
    print(f"thetaloop: {problem}", file=sys.stderr)
    return None
