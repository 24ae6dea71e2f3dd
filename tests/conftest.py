"""Fixtures shared by all tests; everything is real: mongod, servers as processes, the sandbox.

``mongo``         the URI of one mongod for the whole session, started as the server starts its own
``start``         start servers by hand: ``start(**settings)`` gives a ``Server`` that ends with the test
``server``        one running server for the module, on a database of its own
``researcher``    somebody signed in at ``server``, with a fresh account for each test
``other``         the same for somebody else
``alone``         a database for this test only, for servers that must lead its jobs
``own_mongo``     a mongod for one test alone, to stop, kill and start again
``database``      the module's database, through pymongo, to look at and to tamper with

``tests.servers`` holds ``Server`` and ``Researcher``, and the scripts most tests use. ``tests.load`` holds crowds of
clients, ``tests.replica_set`` three ``mongod`` to kill and lame.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from app.storage.embedded import EmbeddedMongo
from tests.servers import Researcher, Server, settings_for


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    embedded = EmbeddedMongo(tmp_path_factory.mktemp("mongo"))
    yield embedded.acquire()
    embedded.release()


@pytest.fixture(scope="module")
def database_name() -> str:
    return f"test_{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def database(mongo: str, database_name: str) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo, tz_aware=True) as client:
        yield client[database_name]
        client.drop_database(database_name)


@pytest.fixture(scope="module")
def server(mongo: str, database_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), settings_for(mongo, database_name)) as running:
        yield running


@pytest.fixture
def start(mongo: str, database_name: str, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """``start(**{"server.debug": True})``: a server on the session's mongod and the module's database.

    ``start(embedded=FOLDER)`` runs one with a mongod of its own in that folder.
    """
    running: list[Server] = []

    def start_one(embedded: Path | None = None, **settings: Any) -> Server:
        given = {} if embedded else settings_for(mongo, database_name)
        one = Server(embedded or tmp_path / f"server{len(running)}", given | settings)
        running.append(one)
        return one.__enter__()

    yield start_one
    for one in running:
        one.__exit__(None, None, None)
        if one.process.returncode == -signal.SIGKILL and not one.mongo:
            orphan = EmbeddedMongo(one.folder)
            orphan.acquire()
            orphan.release()


@pytest.fixture
def alone(mongo: str) -> Iterator[Database[dict[str, Any]]]:
    name = f"test_{secrets.token_hex(4)}"
    with MongoClient[dict[str, Any]](mongo, tz_aware=True) as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture
def own_mongo(tmp_path: Path) -> Iterator[EmbeddedMongo]:
    embedded = EmbeddedMongo(tmp_path / "own")
    embedded.acquire()
    yield embedded
    embedded.release()


@pytest.fixture
def researcher(server: Server) -> Iterator[Researcher]:
    with server.researcher() as somebody:
        yield somebody


@pytest.fixture
def other(server: Server) -> Iterator[Researcher]:
    with server.researcher() as somebody:
        yield somebody
