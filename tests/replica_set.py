"""A replica set of three mongod, each on a loopback port and a folder of its own, to kill, stop and lame."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from bson import Timestamp
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from app.storage.mongod import find_mongod, last_words

NAME = "three"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
# Asked directly and without waiting, as most of what is asked here is whether somebody is there.
_IMPATIENT = {"directConnection": True, "serverSelectionTimeoutMS": 1_000, "connectTimeoutMS": 1_000}


class Member:
    """One mongod."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, the first time or again."""
        command = [
            str(find_mongod()),
            f"--dbpath={self.folder}",
            "--bind_ip=127.0.0.1",
            f"--port={self.port}",
            "--nounixsocket",
            f"--replSet={NAME}",
            "--wiredTigerCacheSizeGB=0.25",
            "--oplogSize=200",
            "--quiet",
            "--slowms=1000",
            "--setParameter=diagnosticDataCollectionEnabled=false",
            "--setParameter=enableTestCommands=1",
        ]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # mongod refuses to start in an unknown locale.
                env={**os.environ, "LC_ALL": "C"},
            )

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder.with_suffix(".log")

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nobody."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def command(self, name: str, value: Any = 1, **arguments: Any) -> dict[str, Any]:
        """Run a command on it, whatever its state."""
        with MongoClient[dict[str, Any]](self.address, **_IMPATIENT) as client:
            return client.admin.command(name, value, **arguments)

    def fail_point(self, name: str, on: bool, data: Mapping[str, Any] | None = None) -> None:
        """Turn one of the places on or off at which mongod can be made to fail."""
        self.command("configureFailPoint", name, mode="alwaysOn" if on else "off", **({"data": data} if data else {}))

    def writes_since(self, moment: Timestamp) -> int:
        """How many entries its log has since then."""
        with MongoClient[dict[str, Any]](self.address, **_IMPATIENT) as client:
            return client["local"]["oplog.rs"].count_documents({"ts": {"$gt": moment}, "op": {"$ne": "n"}})

    @property
    def leads(self) -> bool:
        """Whether it is primary and takes writes."""
        try:
            return bool(self.command("hello")["isWritablePrimary"])
        except PyMongoError:
            return False


class ReplicaSet:
    """Three members, with MongoDB's own settings unless others are given; used with ``with``."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.members = [Member(folder / f"member{number}") for number in range(3)]
        self._settings = settings
        addresses = ",".join(member.address for member in self.members)
        self.uri = f"mongodb://{addresses}/?replicaSet={NAME}"

    def __enter__(self) -> ReplicaSet:
        with ExitStack() as stack:
            stack.callback(self._end)
            for member in self.members:
                member.start()
            members = [{"_id": number, "host": member.address} for number, member in enumerate(self.members)]
            config = {"_id": NAME, "members": members, "settings": self._settings}
            self.wait_for(lambda: all(_answers(member) for member in self.members))
            self.members[0].command("replSetInitiate", config)
            self.step_up(self.members[0])  # at once; by themselves they would wait for a time-out first
            self.wait_until_whole()
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    @property
    def primary(self) -> Member:
        """The member that leads, once there is one."""
        found: list[Member] = []
        self.wait_for(lambda: bool(found.extend(each for each in self.members if each.process and each.leads) or found))
        return found[-1]

    @property
    def secondaries(self) -> list[Member]:
        """The members that run and follow."""
        primary = self.primary
        return [member for member in self.members if member.process and member is not primary]

    @contextmanager
    def primary_ahead(self) -> Iterator[Member]:
        """The primary with some writes under load that no other member gets: nobody may have been told of them."""
        primary, others = self.primary, self.secondaries
        try:
            for member in others:
                member.fail_point("stopReplProducer", True)
            everywhere = primary.command("replSetGetStatus")["optimes"]["appliedOpTime"]["ts"]
            self.wait_for(lambda: primary.writes_since(everywhere) >= 3)
            yield primary
        finally:
            for member in others:
                member.fail_point("stopReplProducer", False)

    def step_down(self) -> Member:
        """Make the primary give way to another one at once; who it was."""
        primary = self.primary

        def try_it() -> bool:
            try:
                primary.command("replSetStepDown", 3, secondaryCatchUpPeriodSecs=2)
            except AutoReconnect:
                pass  # it may close its connections as it does so
            except OperationFailure:
                return False  # no other one could keep up
            return True

        self.wait_for(try_it)
        return primary

    def step_up(self, member: Member) -> None:
        """Make this member the primary."""

        def try_it() -> bool:
            try:
                member.command("replSetStepUp")
            except OperationFailure:
                return False  # it is not up to date, or others did not vote for it
            return True

        self.wait_for(lambda: member.leads or try_it())

    def restart(self) -> None:
        """Start the members that were killed, and wait until all are in step."""
        for member in self.members:
            if member.process is None:
                member.start()
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait for one primary and two secondaries."""

        def whole() -> bool:
            try:
                states = [member["stateStr"] for member in self.primary.command("replSetGetStatus")["members"]]
            except PyMongoError:
                return False
            return sorted(states) == ["PRIMARY", "SECONDARY", "SECONDARY"]

        self.wait_for(whole)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for what the members do by themselves."""
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "\n".join(last_words(member.log) for member in self.members)
            time.sleep(_POLL_SECONDS)

    def _end(self) -> None:
        for member in self.members:
            member.kill()


def _answers(member: Member) -> bool:
    try:
        return bool(member.command("ping"))
    except PyMongoError:
        return False
