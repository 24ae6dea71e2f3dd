"""A stand-in for zygote and worker: applies the layers that it is given, tries one attack, and reports the outcome.

It is started by exec with ``-I``, as the real zygote is, with a JSON task and the number of a socket's descriptor. Its
answers are lines of JSON on the socket: first the layers that hold, then ``{"got": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import importlib
import json
import mmap
import os
import select
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.sandbox.confinement.kernel import call, system_call
from app.sandbox.confinement.layers import Layers, confine_worker, confine_zygote
from app.sandbox.confinement.process_state import CHANNEL_FD

NOBODY = 65534


def open_file() -> str:
    return Path("/etc/passwd").read_text()[:4]


def list_folder() -> int:
    return len(os.listdir("/etc"))


def write_file(path: str) -> int:
    with open(path, "wb", buffering=0) as file:
        return file.write(b"x")


def connect(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), 5):
        return "connected"


def connect_abstract(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name)
        return "connected"


def make_socket() -> str:
    socket.socket(socket.AF_INET).close()
    return "socket"


def signal_process(pid: int) -> str:
    os.kill(pid, 0)
    return "there"


def fork() -> str:
    if os.fork() == 0:
        os._exit(0)
    return "forked"


def start_thread() -> str:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    return "started"


def execute() -> None:
    # On success it is the new program that answers.
    os.execv("/bin/sh", ["sh", "-c", f'echo \'{{"got": "executed"}}\' >&{CHANNEL_FD}'])


def map_executable() -> str:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    return "mapped"


def make_executable() -> int:
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return call("mprotect", ctypes.c_void_p(address), mmap.PAGESIZE, 1 | 2 | 4)


def make_file_of_memory() -> str:
    os.close(os.memfd_create("memory"))
    return "made"


def be_traced() -> int:
    return call("ptrace", 0, 0, 0, 0)


def enter_user_namespace() -> int:
    return call("unshare", 0x10000000)


def clone_into_user_namespace() -> str:
    if system_call(56 if os.uname().machine == "x86_64" else 220, 0x10000000 | 17, None, None, None, None) == 0:
        os._exit(0)
    return "cloned"


def call_as_x32() -> str:
    with contextlib.suppress(OSError):
        system_call(0x40000000 | 39)
    return "survived"


def allocate() -> int:
    return len(bytearray(1 << 30))


def open_many() -> int:
    return len([os.dup(0) for _ in range(64)])


def burn() -> str:
    while time.process_time() < 2.5:
        pass
    return "burnt"


def read_file(path: str) -> str:
    return Path(path).read_text()


def become_root_again() -> int:
    os.setresuid(0, 0, 0)
    return os.getuid()


def read_own_memory_file() -> str:
    open("/proc/self/mem", "rb").close()
    return "opened"


def look_around() -> dict[str, Any]:
    listing = os.open("/proc/self/fd", os.O_RDONLY)
    descriptors = {int(fd) for fd in os.listdir(listing)} - {listing}
    # The listing is read through a duplicate.
    real = [fd for fd in sorted(descriptors) if os.path.exists(f"/proc/self/fd/{fd}")]
    return {
        "descriptors": real,
        "streams": [os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "niceness": os.nice(0),
        "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text()),
    }


def compute() -> list[float]:
    np = importlib.import_module("numpy")
    special = importlib.import_module("scipy.special")
    random = np.random.default_rng(1)
    square = random.normal(size=(60, 60))
    np.random.seed()
    return [
        float(np.linalg.norm(np.linalg.inv(square) @ square)),
        float(np.linalg.eigvalsh(square @ square.T)[-1]),
        float(abs(np.fft.ifft(np.fft.fft(square)) - square).max()),
        float(np.sort(np.random.random(100_000))[-1]),
        float(special.expit(0.0)),
        time.monotonic(),
    ]


def wait() -> None:
    while True:
        time.sleep(1)


def hand_over_worker() -> str:
    worker = os.fork()
    if worker == 0:
        confine_worker(Layers(), channel_fd=CHANNEL_FD, cpu_seconds=1)
        wait()
    handle = os.pidfd_open(worker)
    control = socket.socket(fileno=CHANNEL_FD)
    socket.send_fds(control, [b"\n"], [handle])
    control.detach()
    await_end(handle)
    return "it ended"


def attempt(attack: str, arguments: list[Any]) -> None:
    try:
        answer = {"got": globals()[attack](*arguments)}
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    tell(answer)


def tell(message: dict[str, Any]) -> None:
    os.write(CHANNEL_FD, json.dumps(message).encode() + b"\n")


def become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # As after an exec by that user.
    call("prctl", 4, 1, 0, 0, 0)


def main(task: dict[str, Any], control_fd: int) -> None:
    for name in task["imports"]:
        importlib.import_module(name)
    if task["unprivileged"] and os.geteuid() == 0:
        become_nobody()
    layers = Layers(**task["layers"])
    active = confine_zygote(layers, memory_mb=512, control_fd=control_fd)
    tell({**dataclasses.asdict(active), "safe": active.safe})
    if task["in_zygote"]:
        attempt(task["attack"], task["arguments"])
        return
    worker = os.fork()
    if worker == 0:
        confine_worker(layers, channel_fd=CHANNEL_FD, cpu_seconds=1)
        attempt(task["attack"], task["arguments"])
        os._exit(0)
    # The worker may be gone already, as nobody waits for it.
    with contextlib.suppress(ProcessLookupError):
        await_end(os.pidfd_open(worker))


def await_end(process: int) -> None:
    ended = select.poll()
    ended.register(process, select.POLLIN)
    ended.poll()


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]), int(sys.argv[2]))
    except BaseException as error:
        tell({"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)
