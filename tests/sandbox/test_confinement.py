"""Each layer stops its attacks, alone and with all others; without any layer the same attacks succeed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.confinement.layers import Layers

HELPER = Path(__file__).with_name("confined.py")
EVERYTHING = Layers()
NOTHING = Layers(seccomp=False, landlock=False, namespaces=False, rlimits=False, privileges=False)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")

# What a layer stops by itself.
STOPPED = {
    "seccomp": [
        "open_file",
        "list_folder",
        "make_socket",
        "connect",
        "connect_abstract",
        "signal_process",
        "fork",
        "start_thread",
        "execute",
        "map_executable",
        "make_executable",
        "make_file_of_memory",
        "be_traced",
        "call_as_x32",
    ],
    "landlock": ["open_file", "list_folder", "write_file", "execute", "connect", "connect_abstract", "signal_process"],
    "namespaces": [
        "open_file",
        "list_folder",
        "write_file",
        "execute",
        "connect",
        "connect_abstract",
        "signal_process",
    ],
    "rlimits": ["write_file", "allocate", "open_many", "burn", "fork", "start_thread"],
    "privileges": ["read_own_memory_file"],
}
ATTACKS = sorted({attack for attacks in STOPPED.values() for attack in attacks})
CASES = [(layer, attack) for layer, attacks in STOPPED.items() for attack in attacks]

Answer = dict[str, Any]


def only(layer: str) -> Layers:
    return Layers(**{**asdict(NOTHING), layer: True})


@contextmanager
def confined(
    attack: str,
    *arguments: Any,
    layers: Layers = EVERYTHING,
    unprivileged: bool = False,
    in_zygote: bool = False,
    imports: tuple[str, ...] = (),
    extra_fds: tuple[int, ...] = (),
) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    task = {
        "attack": attack,
        "arguments": arguments,
        "layers": asdict(layers),
        "unprivileged": unprivileged,
        "in_zygote": in_zygote,
        "imports": imports,
    }
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(30)
        command = [sys.executable, "-I", str(HELPER), json.dumps(task), str(theirs.fileno())]
        environment = {"OPENBLAS_NUM_THREADS": "1", "A_SECRET": "hush"}
        process = subprocess.Popen(command, env=environment, pass_fds=(theirs.fileno(), *extra_fds))
        theirs.close()
        try:
            yield process, ours
        finally:
            process.kill()
            process.wait()


def try_attack(attack: str, *arguments: Any, **options: Any) -> tuple[Answer, Answer]:
    """The layers that held, and what came of the attack; nothing if it ended the attacker."""
    with confined(attack, *arguments, **options) as (_, channel), channel.makefile("rb") as lines:
        answers = [json.loads(line) for line in lines]
    return answers[0], answers[1] if len(answers) > 1 else {}


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[dict[str, tuple[Any, ...]]]:
    """Something real for the attacks that aim at something: a server, a process, a folder that all may write to."""
    name = "thetaloop-" + secrets.token_hex(8)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + name)
        abstract.listen()
        yield {
            "connect": (server.getsockname()[1],),
            "connect_abstract": (name,),
            "signal_process": (os.getpid(),),
            "write_file": (str(tmp_path / "written"),),
        }


def skip_unless_granted(active: Answer, layer: str, attack: str) -> None:
    """Landlock grew over the years, and namespaces are not granted everywhere: both are done without, if need be."""
    needed = {"connect": 4, "connect_abstract": 6, "signal_process": 6}.get(attack, 1)
    if layer == "landlock" and active["landlock"] < needed:
        pytest.skip(f"this kernel's Landlock is version {active['landlock']}, {attack} needs {needed}")
    if layer == "namespaces" and not active["empty_root"]:
        pytest.skip("namespaces are not granted here")


@pytest.mark.parametrize("attack", ATTACKS)
def test_without_any_layer_the_attack_succeeds(attack: str, targets: dict[str, tuple[Any, ...]]) -> None:
    _, outcome = try_attack(attack, *targets.get(attack, ()), layers=NOTHING)

    assert "got" in outcome, outcome


@pytest.mark.parametrize(("layer", "attack"), CASES)
def test_a_layer_stops_its_attack_alone(layer: str, attack: str, targets: dict[str, tuple[Any, ...]]) -> None:
    # The kernel exempts root from its limit of processes, so limits are tried as somebody else.
    unprivileged = layer in ("rlimits", "privileges") and attack != "write_file"
    active, outcome = try_attack(attack, *targets.get(attack, ()), layers=only(layer), unprivileged=unprivileged)

    skip_unless_granted(active, layer, attack)
    assert "got" not in outcome, outcome


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("unprivileged", [False, True], ids=["as_started", "unprivileged"])
def test_all_layers_together_stop_the_attack(
    attack: str, unprivileged: bool, targets: dict[str, tuple[Any, ...]]
) -> None:
    active, outcome = try_attack(attack, *targets.get(attack, ()), unprivileged=unprivileged)

    assert active["safe"]
    assert "got" not in outcome, outcome


@pytest.mark.parametrize("attack", ["enter_user_namespace", "start_thread", "open_file", "make_socket", "execute"])
def test_the_zygote_itself_is_confined(attack: str) -> None:
    assert "got" in try_attack(attack, layers=NOTHING, in_zygote=True)[1]
    assert "error" in try_attack(attack, layers=only("seccomp"), in_zygote=True)[1]


def test_the_zygote_cannot_fork_into_a_namespace() -> None:
    _, outcome = try_attack("clone_into_user_namespace", layers=only("seccomp"), in_zygote=True)

    assert outcome["error"].startswith("PermissionError")


@needs_root
def test_root_becomes_nobody_for_good(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.write_text("secret")
    private.chmod(0o600)

    for attack, arguments in (("read_file", (str(private),)), ("become_root_again", ())):
        assert "got" in try_attack(attack, *arguments, layers=NOTHING)[1]
        assert "PermissionError" in try_attack(attack, *arguments, layers=only("privileges"))[1]["error"]


@pytest.mark.parametrize("unprivileged", [False, True], ids=["as_started", "unprivileged"])
def test_the_self_test_finds_nothing_behind_all_layers(unprivileged: bool) -> None:
    active, _ = try_attack("look_around", unprivileged=unprivileged)

    assert (active["seccomp"], active["rlimits"], active["privileges"]) == (True, True, True)
    assert active["breaches"] == []
    assert active["safe"]


@pytest.mark.parametrize("layers", [NOTHING, Layers(seccomp=False)], ids=["no_layer", "no_filter"])
def test_the_self_test_finds_a_missing_filter(layers: Layers) -> None:
    active, _ = try_attack("look_around", layers=layers)

    assert active["breaches"] == ["open", "socket", "fork", "execve", "mmap PROT_EXEC"]
    assert not active["safe"]


def test_nothing_of_the_server_is_left_lying_about() -> None:
    with open(os.devnull) as log:
        _, outcome = try_attack("look_around", layers=NOTHING, extra_fds=(log.fileno(),))

    assert outcome["got"] == {
        "descriptors": [0, 1, 2, 3],
        "streams": [os.devnull] * 3,
        "environment": {},
        "folder": "/",
        "niceness": min(os.nice(0) + 10, 19),
        "oom_score_adj": 1000,
    }


def test_numpy_and_scipy_compute_behind_all_layers() -> None:
    active, outcome = try_attack("compute", imports=("numpy", "scipy.special"))

    assert active["safe"]
    assert len(outcome["got"]) == 6


def test_nobody_survives_the_zygote() -> None:
    with confined("wait") as (zygote, channel), channel.makefile("rb") as lines:
        assert json.loads(lines.readline())["safe"]
        children = await_children(zygote.pid)
        zygote.send_signal(signal.SIGKILL)

        assert lines.read() == b""
        await_end_of(children)


@pytest.mark.parametrize("unprivileged", [False, True], ids=["as_started", "unprivileged"])
def test_the_server_can_kill_a_worker_by_the_handle_that_the_zygote_sends(unprivileged: bool) -> None:
    with confined("hand_over_worker", in_zygote=True, unprivileged=unprivileged) as (_, channel):
        handle = receive_descriptor(channel)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)

        with channel.makefile("rb") as lines:
            assert json.loads(lines.readline()) == {"got": "it ended"}


def receive_descriptor(channel: socket.socket) -> int:
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 4096, 1)
        assert data
        if descriptors:
            return descriptors[0]


def await_children(pid: int) -> list[int]:
    # With namespaces the first child is the sleeper that holds them open; the last is the worker.
    for _ in range(200):
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        if children:
            return children
        time.sleep(0.01)
    raise AssertionError("no worker was started")


def await_end_of(pids: list[int]) -> None:
    for _ in range(200):
        if not any(map(alive, pids)):
            return
        time.sleep(0.01)
    raise AssertionError(f"still alive: {pids}")


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
