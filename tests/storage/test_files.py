"""Files in GridFS: whole or invisible, whatever happens to whoever writes them."""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from app.domain.files import FileSpec, StoredFile
from app.domain.ids import new_id
from app.domain.user import User
from app.errors import FileUnfinished, NotFound, StoreUnavailable
from app.jobs.files import FileJob
from app.services.files import FileService
from app.storage.files import FileWriter
from app.storage.store import Store
from tests.storage.wire import opened

ROOT = Path(__file__).parents[2]
PIECE = 255 * 2**10
DAY = timedelta(days=1)


@pytest.fixture
def run(mongo: str) -> Callable[[Callable[[Store], Coroutine[Any, Any, None]]], None]:
    """Run a test on a database of its own."""

    def run_one(work: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            async with opened(mongo, f"test_{secrets.token_hex(4)}") as store:
                await work(store)
                await store.db.client.drop_database(store.db.name)

        asyncio.run(whole())

    return run_one


def spec(expires: datetime | None = None, **values: Any) -> FileSpec:
    return FileSpec(new_id(), "owner", "e", "draws.jsonl", "application/x-ndjson", expires, **values)


async def written(store: Store, content: bytes, expires: datetime | None = None, step: int = 50_000) -> str:
    """The id of a file with that content."""
    writer = await store.files.create(spec(expires))
    for start in range(0, len(content), step):
        await writer.write(content[start : start + step])
    await writer.complete()
    return writer.spec.id


async def content_of(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def pieces_left(store: Store) -> tuple[int, int, int]:
    """How many rows, GridFS files and GridFS chunks there are."""
    names = ("files", "file_contents.files", "file_contents.chunks")
    rows, files, chunks = [await store.db[name].count_documents({}) for name in names]
    return rows, files, chunks


MEGABYTE = 2**20
SIZES = [0, 1, PIECE - 1, PIECE, PIECE + 1, MEGABYTE, 3 * MEGABYTE + 7]


@pytest.mark.parametrize("size", [*SIZES, pytest.param(100 * MEGABYTE, marks=pytest.mark.slow)])
def test_a_file_is_read_back_whole_and_in_parts(size: int, run: Any) -> None:
    content = random.Random(size).randbytes(size)

    async def work(store: Store) -> None:
        file_id = await written(store, content)
        file = await store.files.find(file_id)
        assert isinstance(file, StoredFile)
        assert (file.size, file.sha256) == (size, hashlib.sha256(content).hexdigest())
        assert (file.owner, file.exp_id, file.name, file.type) == ("owner", "e", "draws.jsonl", "application/x-ndjson")
        assert await content_of(store.files.read(file_id, 0, size)) == content
        for first, count in ((0, 1), (size // 2, size // 3), (PIECE - 1, 2), (PIECE, PIECE), (size - 1, 1)):
            if first >= 0 and first + count <= size:
                assert await content_of(store.files.read(file_id, first, count)) == content[first : first + count]

    run(work)


def test_nobody_sees_a_file_before_it_is_complete(run: Any) -> None:
    async def work(store: Store) -> None:
        writer = await store.files.create(spec())
        await writer.write(b"x" * 2 * MEGABYTE)
        service, owner, other = FileService(store), User("owner"), User("other")
        with pytest.raises(FileUnfinished):
            await service.find(owner, writer.spec.id)
        with pytest.raises(NotFound):
            await service.find(other, writer.spec.id)
        await writer.complete()
        assert (await service.find(owner, writer.spec.id)).size == 2 * MEGABYTE
        assert (await service.find(User("boss", admin=True), writer.spec.id)).id == writer.spec.id
        with pytest.raises(NotFound):
            await service.find(other, writer.spec.id)

    run(work)


def test_a_file_that_is_aborted_leaves_nothing(run: Any) -> None:
    async def work(store: Store) -> None:
        writer = await store.files.create(spec())
        await writer.write(b"x" * 60 * MEGABYTE)  # more than the driver holds back
        assert (await pieces_left(store))[2] > 0
        await writer.abort()
        assert await pieces_left(store) == (0, 0, 0)

    run(work)


def test_a_writer_that_is_cancelled_while_it_sends_leaves_nothing(run: Any) -> None:
    async def work(store: Store) -> None:
        writer = await store.files.create(spec())

        async def write() -> None:
            try:
                while True:
                    await writer.write(b"x" * 20 * MEGABYTE)
            finally:
                await writer.abort()

        task = asyncio.create_task(write())
        while not await store.db["file_contents.chunks"].count_documents({}):  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await pieces_left(store) == (0, 0, 0)

    run(work)


def test_the_job_deletes_what_has_expired_and_nothing_else(run: Any) -> None:
    async def work(store: Store) -> None:
        now = datetime.now(UTC)
        gone = await written(store, b"gone", now - timedelta(seconds=1))
        stays = [await written(store, b"stays", now + DAY), await written(store, b"stays")]
        assert await store.files.find(gone) is None
        await FileJob(store).run()
        assert await pieces_left(store) == (2, 2, 2)
        for file_id in stays:
            assert await content_of(store.files.read(file_id, 0, 5)) == b"stays"
        with pytest.raises(StoreUnavailable):
            await content_of(store.files.read(gone, 0, 4))

    run(work)


def test_draws_stay_if_their_run_refers_to_them(run: Any) -> None:
    async def work(store: Store) -> None:
        past = datetime.now(UTC) - timedelta(seconds=1)
        claimed, unclaimed = await written(store, b"a", past), await written(store, b"b", past)
        await store.db.simulations.insert_one({"_id": claimed, "logged": True})
        await store.db.simulations.insert_one({"_id": unclaimed, "logged": False})
        await FileJob(store).run()
        assert await store.files.find(unclaimed) is None
        kept = await store.files.find(claimed)
        assert isinstance(kept, StoredFile)
        assert kept.expires is None

    run(work)


def test_what_was_abandoned_is_deleted_and_its_writer_can_no_longer_complete_it(run: Any) -> None:
    async def work(store: Store) -> None:
        writer = await store.files.create(spec())
        await writer.write(b"x" * MEGABYTE)
        await FileJob(store).run()
        assert (await pieces_left(store))[0] == 1, "its writer lives"
        await silenced(store, writer)
        await FileJob(store).run()
        assert await pieces_left(store) == (0, 0, 0)
        with pytest.raises(StoreUnavailable):
            await writer.complete()
        assert await pieces_left(store) == (0, 0, 0)

    run(work)


async def silenced(store: Store, writer: FileWriter) -> None:
    """As if the writer's last sign of life were an hour old."""
    old = datetime.now(UTC) - timedelta(hours=1)
    await store.db.files.update_one({"_id": writer.spec.id}, {"$set": {"alive": old}})


WRITES_UNTIL_KILLED = """
import asyncio, sys
from app.domain.files import FileSpec, StoredFile
from app.storage.client import connect
from app.storage.store import Store

async def main():
    store = Store(connect(sys.argv[1], sys.argv[2]))
    writer = await store.files.create(FileSpec(sys.argv[3], "owner", "e", "name", "text/csv"))
    while True:
        await writer.write(b"x" * 2**20)
        if writer.size == 60 * 2**20:
            print("on its way", flush=True)

asyncio.run(main())
"""


def test_a_writer_that_is_killed_leaves_nothing_that_anybody_sees(mongo: str, run: Any) -> None:
    async def work(store: Store) -> None:
        command = [sys.executable, "-c", WRITES_UNTIL_KILLED, mongo, store.db.name, "killed"]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=ROOT)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"on its way\n"
        process.send_signal(signal.SIGKILL)
        await process.wait()
        rows, files, chunks = await pieces_left(store)
        assert (rows, files) == (1, 0)
        assert chunks > 0
        now = await store.leases.now()
        dead = {"alive": now - timedelta(seconds=11)}
        await store.db.files.update_one({"_id": "killed"}, {"$set": dead})
        with pytest.raises(NotFound):
            await FileService(store).find(User("owner"), "killed")
        assert await store.files.abandoned(now + timedelta(minutes=9)) == []
        assert await store.files.abandoned(now + timedelta(minutes=11)) == ["killed"]
        await store.files.remove("killed")
        assert await pieces_left(store) == (0, 0, 0)

    run(work)


def test_a_deletion_that_was_broken_off_is_taken_up_again(run: Any) -> None:
    async def work(store: Store) -> None:
        file_id = await written(store, b"content")
        half = {"state": "deleting", "alive": datetime.now(UTC) - timedelta(minutes=1)}
        await store.db.files.update_one({"_id": file_id}, {"$set": half})
        assert await store.files.find(file_id) is None
        await FileJob(store).run()
        assert await pieces_left(store) == (0, 0, 0)

    run(work)


NEVER_TOUCHES_FILES = """
import asyncio, sys
from app.server.assemble import *
from app.storage.client import connect
from app.storage.store import Store

async def main():
    store = Store(connect(sys.argv[1], sys.argv[2]))
    await store.prepare()
    assert await store.files.find("none") is None
    assert await store.files.expired(await store.leases.now()) == []
    await store.close()

asyncio.run(main())
print([name for name in sys.modules if name.split(".")[0] == "motor"])
"""


def test_servers_that_never_touch_a_file_do_not_load_motor(mongo: str) -> None:
    database = f"test_{secrets.token_hex(4)}"
    command = [sys.executable, "-c", NEVER_TOUCHES_FILES, mongo, database]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr
    with MongoClient[dict[str, Any]](mongo) as client:
        client.drop_database(database)
