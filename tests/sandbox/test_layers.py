"""Which layer stops which attack by itself: the table in the documentation, and the proof that the attacks work.

``REWRITE_DOCS=1 pytest tests/sandbox/test_layers.py`` writes the table anew.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.confinement.layers import Layers, landlock
from tests.sandbox.attacks import FILES, NETWORK, NUMPY, PROCESSES, SIGNALS, scripts, system_call
from tests.sandbox.direct import NOTHING, behind, pool, won
from tests.sandbox.surroundings import NOBODY

DOCS = Path(__file__).parents[2] / "docs" / "sandbox.rst"
BEGIN, END = ".. The table of layers begins\n\n", "\n.. The table of layers ends\n"

ATTACKS = {
    "read a file": FILES["read"],
    "write a file": FILES["write"],
    "remove a file": FILES["remove"],
    "list a folder": FILES["list"],
    "read the server's environment in /proc": FILES["environment_of_the_server"],
    "open its own memory in /proc": FILES["own_memory"],
    "read a file through numpy": NUMPY["fromfile"],
    "run a program out of a pickle": NUMPY["pickle"],
    "run a program": PROCESSES["system"],
    "replace itself by a program": PROCESSES["exec"],
    "fork twenty processes": PROCESSES["fork"],
    "start a thread": PROCESSES["thread"],
    "connect over TCP": NETWORK["connect"],
    "connect to an abstract socket": NETWORK["abstract_socket"],
    "look up a host name": NETWORK["getaddrinfo"],
    "make a pair of sockets": NETWORK["socketpair"],
    "kill another process": SIGNALS["kill_the_victim"],
    "trace (ptrace)": system_call("ptrace"),
    "enter a new namespace (unshare)": system_call("unshare"),
    "make a file of memory (memfd)": system_call("memfd_create"),
    "map memory that can be executed": system_call("mmap_writable_code"),
    "take a gigabyte of memory": "got(np.empty(1 << 27).nbytes)",
    "open more descriptors": "got([os.dup(0) for _ in range(64)])",
    "burn the processor": "import time\nwhile time.process_time() < 1.6:\n    pass\ngot('burnt')",
}
# The layers in the order of the table's columns; the limit on processes does not hold for root, so that one is
# looked at as nobody. The last is no layer of the worker's.
COLUMNS = {
    "seccomp": Layers(**{**asdict(NOTHING), "seccomp": True}),
    "Landlock": Layers(**{**asdict(NOTHING), "landlock": True}),
    "namespaces": Layers(**{**asdict(NOTHING), "namespaces": True}),
    "identity": Layers(**{**asdict(NOTHING), "privileges": True}),
    "rlimits": Layers(**{**asdict(NOTHING), "rlimits": True, "privileges": True}),
    "deadline": NOTHING,
}
DEADLINE = 1.0


@contextmanager
def targets(folder: Path) -> Iterator[tuple[dict[str, Any], list[socket.socket], subprocess.Popen[bytes]]]:
    """Fresh targets for one attack."""
    name = "thetaloop-" + secrets.token_hex(8)
    open_folder = folder / secrets.token_hex(8)
    open_folder.mkdir()
    open_folder.chmod(0o777)
    file = open_folder / "secret"
    file.write_text("the canary\n")
    file.chmod(0o666)
    identity = {"user": NOBODY} if os.geteuid() == 0 else {}
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as abstract,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, **identity) as victim,
    ):
        abstract.bind("\0" + name)
        abstract.listen()
        context = {
            "file": str(file),
            "folder": str(open_folder),
            "port": listener.getsockname()[1],
            "abstract": name,
            "victim": victim.pid,
            "server": os.getpid(),
        }
        yield context, [listener, abstract], victim


def is_hit(context: dict[str, Any], listeners: list[socket.socket], victim: subprocess.Popen[bytes]) -> bool:
    """Whether any target shows an effect, whatever the attacker says."""
    for listener in listeners:
        listener.setblocking(False)
        try:
            listener.accept()[0].close()
            return True
        except BlockingIOError:
            pass
    return os.listdir(context["folder"]) != ["secret"] or victim.poll() is not None


async def winners(column: str, folder: Path) -> set[str]:
    """The attacks that succeed with no layer but this one."""
    found = set()
    deadline = DEADLINE if column == "deadline" else 60
    async with pool(behind(COLUMNS[column], cpu_seconds=1)) as workers:
        for name, attack in ATTACKS.items():
            with targets(folder) as (context, listeners, victim):
                got = await won(workers, scripts(attack)["get_action"], context, deadline)
                if got or is_hit(context, listeners, victim):
                    found.add(name)
    return found


async def winners_of_all(folder: Path) -> tuple[set[str], dict[str, set[str]]]:
    async with pool(behind(NOTHING)) as workers:
        without = set()
        for name, attack in ATTACKS.items():
            with targets(folder) as (context, listeners, victim):
                if await won(workers, scripts(attack)["get_action"], context) or is_hit(context, listeners, victim):
                    without.add(name)
    return without, {column: await winners(column, folder) for column in COLUMNS}


def table(won_behind: dict[str, set[str]]) -> str:
    """What each layer stops, as reStructuredText."""
    rows = [["Attack", *COLUMNS]]
    for attack in ATTACKS:
        rows.append([attack, *("" if attack in won_behind[column] else "stops" for column in COLUMNS)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule]) + "\n"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a server that root runs has most to lose")
def test_the_documented_table_of_layers_is_what_happens() -> None:
    if landlock.version() < 6:
        pytest.skip("the table is of a kernel with Landlock 6 or newer")
    with tempfile.TemporaryDirectory() as folder:  # one that a server's other accounts can reach, unlike tmp_path
        os.chmod(folder, 0o755)
        without, won_behind = asyncio.run(winners_of_all(Path(folder)))

    assert without == set(ATTACKS), "without layers every attack succeeds"
    text = DOCS.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    if os.environ.get("REWRITE_DOCS"):
        DOCS.write_text(before + BEGIN + table(won_behind) + END + after, encoding="utf-8")
    assert before + BEGIN + table(won_behind) + END + after == DOCS.read_text(encoding="utf-8")
