"""A system without system call filters refuses scripts, unless it is told to run them without confinement."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.sandbox.confinement.kernel import system_call
from app.sandbox.confinement.privileges import refuse_new_privileges
from app.sandbox.confinement.seccomp import ALLOW, ARCHITECTURES
from tests.servers import COUNTING, Server

REFUSE = 0x00050000 | errno.ENOSYS
Start = Callable[..., Server]


def without_filters(start: Callable[[], Server]) -> Server:
    """Start a server as on a system that has no seccomp: a filter refuses it the call that loads filters.

    Filters belong to a thread and to what it starts, so the tests themselves go on as before.
    """

    def load_and_start() -> Server:
        refuse_new_privileges()
        number = ARCHITECTURES[platform.machine()].numbers["seccomp"]
        steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, REFUSE), (0x06, 0, 0, ALLOW)]
        instructions = b"".join(struct.pack("=HBBI", *step) for step in steps)
        program = struct.pack("=H6xQ", len(steps), ctypes.addressof(kept := ctypes.create_string_buffer(instructions)))
        system_call(number, 1, 0, program)
        del kept
        return start()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(load_and_start).result()


def test_without_filters_the_server_runs_and_refuses_scripts(start: Start) -> None:
    server = without_filters(start)
    with server.researcher() as researcher:
        health = researcher.http.get("/health")
        assert health.status_code == 200
        assert health.json()["sandbox"]["safe"] is False
        assert "Function not implemented" in health.json()["sandbox"]["reason"]

        answer = researcher.http.post("/exp", json={"name": "any", **COUNTING})
        assert answer.status_code == 503
        assert "this server does not run scripts" in answer.json()["error"]["message"]
        assert researcher.http.get("/exp").json() == {}
        assert "this server does not run scripts" in server.errors()


def test_unsafe_runs_scripts_on_such_a_system_and_says_so(start: Start, tmp_path: Path) -> None:
    server = without_filters(lambda: start(**{"sandbox.unsafe": True}))
    secret = tmp_path / "secret"
    secret.write_text("the canary")
    with server.researcher() as researcher:
        assert researcher.http.get("/health").json()["sandbox"] == {"safe": False, "unsafe": True}
        assert "SCRIPTS ARE NOT CONFINED" in server.errors()
        reads = researcher.create(
            get_action=f"self.action['got'] = random._os.sys.modules['io'].open('{secret}').read()"
        )
        assert reads.get_action().json() == {"action": {"got": "the canary"}}
        hangs = researcher.create(get_action="while True:\n    pass")
        assert hangs.get_action().status_code == 500
        counts = researcher.create(**COUNTING)
        counts.set_reward(context={}, action={"arm": "a"}, reward={})
        assert counts.theta() == {"arm:a": {"n": 1}}


@pytest.mark.parametrize("address", ["0.0.0.0", "", "example.org"])
def test_unsafe_is_for_loopback_addresses_only(address: str, start: Start, tmp_path: Path) -> None:
    server = Server(tmp_path, {"sandbox.unsafe": True, "server.address": address})

    said = server.run("serve", code=1)

    assert "sandbox.unsafe: scripts that are not confined may do whatever this account may" in said


def test_health_names_the_layers(server: Server) -> None:
    with server.client() as client:
        layers = client.get("/health").json()["sandbox"]

    assert layers["safe"] is True
    assert layers["seccomp"] is True
    assert layers["breaches"] == []
    assert layers.keys() >= {"landlock", "namespaces", "empty_root", "rlimits", "privileges"}
    assert "confinement of scripts: seccomp" in server.errors()
