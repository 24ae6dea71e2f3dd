"""A private MongoDB in the data folder, shared by every process of Thetaloop that works on that folder.

Three locks in ``data_dir/mongodb`` keep the processes out of each other's way; the kernel drops them with their holder:

- ``start.lock`` is held while somebody starts, adopts or stops mongod;
- ``users.lock`` is shared by all who use it: who can take it alone was the last one and stops mongod;
- ``running.lock`` is inherited by mongod itself: it is held exactly as long as mongod lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from app.errors import MongodUnavailable
from app.storage.mongod import (
    REPLICA_SET,
    MongodProcess,
    bound_log,
    is_locked,
    last_words,
    launch,
    open_private,
    socket_path,
)

POLL_SECONDS = 0.02
IDENTIFY_SECONDS = 5


class EmbeddedMongo:
    """One process's share in the private mongod of ``data_dir``.

    All methods block, for as long as a start takes: call them in a thread. They may be called from several threads.
    A process that was forked after ``acquire`` must leave the object alone, as it has the same locks as its parent.
    """

    uri: str

    def __init__(
        self, data_dir: Path, *, cache_gb: float = 0.5, oplog_mb: int = 990, startup_seconds: float = 60
    ) -> None:
        self.cache_gb = cache_gb
        self.oplog_mb = oplog_mb
        self.startup_seconds = startup_seconds
        self.uri = ""
        self._folder = data_dir.resolve() / "mongodb"
        self._db = self._folder / "db"
        self._log = self._folder / "mongod.log"
        self._running_lock = self._folder / "running.lock"
        self._mutex = threading.RLock()
        self._start_lock: FileIO | None = None
        self._users_lock: FileIO | None = None
        self._process: MongodProcess | None = None
        self._socket = Path()

    @property
    def pid(self) -> int:
        """The pid of mongod as of the last ``acquire`` or ``ensure``."""
        if self._process is None:
            raise MongodUnavailable("The private mongod is not running.")
        return self._process.pid

    def acquire(self) -> str:
        """Start or adopt mongod, join its users and return its URI; a second call returns the URI again."""
        with self._mutex, _explained(self._folder):
            if self._users_lock is None:
                for folder in (self._folder, self._db):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    folder.chmod(0o700)
                with self._starting():
                    self._users_lock = open_private(self._folder / "users.lock")
                    # Taken alone only under the start lock, which is ours: this never waits.
                    fcntl.flock(self._users_lock, fcntl.LOCK_SH)
                    try:
                        self._bring_up()
                    except BaseException:
                        self._leave()
                        raise
            return self.uri

    def ensure(self) -> bool:
        """Restart mongod if it died; True if it is another process than before, whoever of its users restarted it.

        Cheap while mongod is well: two system calls. ``uri`` changes only if the folder of the socket was removed.
        """
        with self._mutex, _explained(self._folder):
            if self._users_lock is None:
                raise MongodUnavailable("The private mongod was not acquired, or was released.")
            if self._process and not self._process.exited() and self._socket.exists():
                bound_log(self._log)
                return False
            with self._starting():
                self._bring_up()
            return True

    def release(self) -> None:
        """Leave the users of mongod, and stop it if nobody else is left; a second call does nothing."""
        with self._mutex:
            if self._users_lock is not None:
                with self._starting():
                    self._leave()

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        # Kept open from the first use on, so that leaving works even after the folder was moved or removed.
        if self._start_lock is None:
            self._start_lock = open_private(self._folder / "start.lock")
        fcntl.flock(self._start_lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Not by closing alone: a forked child that has the descriptor would go on holding the lock.
            fcntl.flock(self._start_lock, fcntl.LOCK_UN)
            if self._users_lock is None:
                self._start_lock.close()
                self._start_lock = None

    def _leave(self) -> None:
        assert self._users_lock is not None
        # Upgrading our own lock asks about the others only, and forked children that share it do not count.
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._stop_living()
        fcntl.flock(self._users_lock, fcntl.LOCK_UN)
        self._users_lock.close()
        self._users_lock = None
        self._remember(None)

    def _stop_living(self) -> None:
        with contextlib.suppress(MongodUnavailable, FileNotFoundError):
            if living := self._living():
                living.stop()
                living.close()
        if self._process:
            self._process.stop()

    def _remember(self, process: MongodProcess | None) -> None:
        if self._process:
            self._process.close()
        self._process = process

    def _bring_up(self) -> None:
        """Adopt the living mongod or start one, and remember it once it takes writes. Under the start lock."""
        deadline = time.monotonic() + self.startup_seconds
        self._socket = socket_path(self._folder)
        process = self._adopt(deadline)
        if process is None:
            process = self._start(deadline)
        self._remember(process)
        self.uri = f"mongodb://{quote(str(self._socket), safe='')}/?replicaSet={REPLICA_SET}"

    def _adopt(self, deadline: float) -> MongodProcess | None:
        """The living mongod of this folder, if it is one that clients can use from here."""
        process = self._living()
        if process is None:
            return None
        with _closing_on_error(process):
            if not (process.serves(self._db, self._socket) and self._socket.exists()):
                # The folder was moved while it ran, or its socket was removed: nobody can reach it any more.
                process.stop()
            elif not process.exited() and self._await_primary(process, deadline):
                return process
        process.close()
        return None

    def _start(self, deadline: float) -> MongodProcess:
        owner = self._folder.stat().st_uid
        if owner != os.geteuid():
            raise MongodUnavailable(
                f"The folder {self._folder} belongs to user id {owner} and this is user id {os.geteuid()}: "
                "a mongod started here would leave files that its owner cannot open."
            )
        process = launch(
            self._db,
            self._socket,
            self._log,
            self._running_lock,
            cache_gb=self.cache_gb,
            oplog_mb=self.oplog_mb,
        )
        with _closing_on_error(process):
            try:
                if self._await_primary(process, deadline):
                    return process
            except BaseException:
                process.stop()
                raise
            raise MongodUnavailable(f"The private mongod ended at its start. Its log says:\n{last_words(self._log)}")

    def _living(self) -> MongodProcess | None:
        """The mongod that holds ``running.lock``; it writes its pid a moment after its start."""
        deadline = time.monotonic() + IDENTIFY_SECONDS
        while is_locked(self._running_lock):
            if process := self._identify():
                return process
            if time.monotonic() > deadline:
                raise MongodUnavailable(
                    f"The folder {self._folder} is in use by a process that cannot be identified as its mongod; "
                    "it may run in another container or under another user."
                )
            time.sleep(POLL_SECONDS)
        return None

    def _identify(self) -> MongodProcess | None:
        try:
            process = MongodProcess(int((self._db / "mongod.lock").read_text()))
        except (OSError, ValueError):
            return None
        if process.is_mongod_holding(self._running_lock):
            return process
        process.close()
        return None

    def _await_primary(self, process: MongodProcess, deadline: float) -> bool:
        """Wait until ``process`` takes writes, configuring its replica set on the way; False if it ended instead."""
        host = quote(str(self._socket), safe="")
        problem = "it does not listen on its socket"
        with MongoClient[dict[str, Any]](
            f"mongodb://{host}/?directConnection=true",
            serverSelectionTimeoutMS=2000,
            connectTimeoutMS=2000,
            socketTimeoutMS=10000,
            connect=False,
        ) as client:
            while not process.exited(POLL_SECONDS):
                try:
                    # A client that meets no socket waits half a second before it looks again.
                    if _listens(self._socket):
                        _configure(client, str(self._socket))
                        if client.admin.command("hello")["isWritablePrimary"]:
                            return True
                        problem = "it has not become primary"
                except PyMongoError as error:
                    problem = str(error)
                if time.monotonic() > deadline:
                    raise MongodUnavailable(
                        f"The private mongod (pid {process.pid}) was not ready after {self.startup_seconds:g} s: "
                        f"{problem}. Its log is {self._log}."
                    )
        return False


def _configure(client: MongoClient[dict[str, Any]], host: str) -> None:
    """Make ``host`` the replica set's only member: at the first start, and after the folder was moved."""
    config = client["local"]["system.replset"].find_one()
    members = [{"_id": 0, "host": host}]
    if config is None:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    elif [member["host"] for member in config["members"]] != [host]:
        moved = {**config, "members": members, "version": config["version"] + 1}
        client.admin.command("replSetReconfig", moved, force=True)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _closing_on_error(process: MongodProcess) -> Iterator[None]:
    try:
        yield
    except BaseException:
        process.close()
        raise


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MongodUnavailable(f"The private mongod cannot work in {folder}: {error}.") from error
