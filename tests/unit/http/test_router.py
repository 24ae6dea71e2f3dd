"""Requests on their way to handlers of both kinds; every one of them is observed once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tornado.testing import bind_unused_port
from tornado.web import RequestHandler

from app.config import Config
from app.errors import Overloaded
from app.http.base import JsonHandler
from app.http.connections import Connections
from app.http.dialect import Dialect
from app.http.fast_handler import FastHandler
from app.http.in_flight import FinishedRequest, InFlightRequests
from app.http.router import RequestRouter
from app.http.streaming import FLUSH_BYTES, StreamingHandler
from app.server.http_server import BoundedServer
from app.services.disk import DataDisk


class Quick(FastHandler):
    """A fast call."""

    async def get(self, name: str) -> None:
        if name == "busy":
            raise Overloaded()
        if name == "broken":
            raise RuntimeError("broken")
        self.send({"name": name})


class Slow(JsonHandler):
    """A call of the application; ``wait`` is answered once it is told to be."""

    async def get(self, name: str) -> None:
        if name == "wait":
            WAITING.started.set()
            await WAITING.go_on.wait()
        if name == "busy":
            raise Overloaded()
        self.send({"name": name})


class Plain(RequestHandler):
    """A handler of Tornado's own kind."""

    def initialize(self, **given: Any) -> None:
        pass

    def get(self) -> None:
        self.finish("plain")


class Half(StreamingHandler):
    """An answer that fails when half of it is sent."""

    async def get(self) -> None:
        await self.write_piece(b"x" * FLUSH_BYTES)
        raise RuntimeError("half way")


@dataclass
class _Events:
    started: asyncio.Event
    go_on: asyncio.Event


WAITING: _Events
DIALECT = Dialect(
    "own", [(r"/quick/([a-z]+)", Quick), (r"/slow/([a-z]+)", Slow), (r"/half", Half), (r"/plain", Plain)], prefix="/v1"
)


@dataclass
class Running:
    """A server in this process."""

    client: httpx.AsyncClient
    port: int
    in_flight: InFlightRequests
    finished: asyncio.Queue[FinishedRequest]

    async def observed(self) -> tuple[str, str, str, int | None]:
        """The one request that was observed."""
        one = await asyncio.wait_for(self.finished.get(), 10)
        assert self.finished.empty()
        assert 0 <= one.seconds < 10
        return one.dialect, one.route, one.method, one.status


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    global WAITING
    WAITING = _Events(asyncio.Event(), asyncio.Event())
    in_flight, finished = InFlightRequests(), asyncio.Queue[FinishedRequest]()
    in_flight.observers.append(finished.put_nowait)
    services: Any = SimpleNamespace(config=Config.of({"http.unread_mb": 1}))
    connections, disk = Connections(100), DataDisk(None, 0)
    unknown = Dialect("rest", [])
    router = RequestRouter([DIALECT], services, in_flight, connections, disk, unknown=unknown, cookie_secret="a secret")
    server = BoundedServer(router, max_body_size=2**62)
    socket, port = bind_unused_port()
    server.add_socket(socket)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield Running(client, port, in_flight, finished)
    server.stop()
    await server.close_all_connections()


def scenario(test: Callable[[Running], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with running() as server:
            await test(server)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "path", "status", "observed"),
    [
        ("GET", "/v1/quick/a", 200, ("own", "/v1/quick/*")),
        ("GET", "/v1/quick/busy", 503, ("own", "/v1/quick/*")),
        ("GET", "/v1/quick/broken", 500, ("own", "/v1/quick/*")),
        ("DELETE", "/v1/quick/a", 405, ("own", "/v1/quick/*")),
        ("OPTIONS", "/v1/quick/a", 204, ("own", "/v1/quick/*")),
        ("GET", "/v1/slow/a", 200, ("own", "/v1/slow/*")),
        ("GET", "/v1/slow/busy", 503, ("own", "/v1/slow/*")),
        ("POST", "/v1/slow/a", 405, ("own", "/v1/slow/*")),
        ("BREW", "/v1/slow/a", 405, ("own", "/v1/slow/*")),
        ("OPTIONS", "/v1/slow/a", 204, ("own", "/v1/slow/*")),
        ("GET", "/v1/plain", 200, ("", "")),
        ("GET", "/v1/none", 404, ("own", "")),
        ("GET", "/none", 404, ("rest", "")),
    ],
)
def test_every_request_is_observed_with_its_route_and_status(
    method: str, path: str, status: int, observed: tuple[str, str]
) -> None:
    async def test(server: Running) -> None:
        answer = await server.client.request(method, path)
        assert answer.status_code == status
        assert await server.observed() == (*observed, method, status)

    scenario(test)


def test_an_answer_that_breaks_off_has_no_status() -> None:
    async def test(server: Running) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await server.client.get("/v1/half")
        assert await server.observed() == ("own", "/v1/half", "GET", None)

    scenario(test)


@pytest.mark.parametrize("path", ["/v1/quick/a", "/v1/slow/a"])
def test_a_request_that_never_arrives_whole_has_no_status(path: str) -> None:
    async def test(server: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345".encode())
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        assert await server.observed() == ("", "", "POST", None)

    scenario(test)


CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 2000000\r\n\r\n",
        b"Content-Length: 2000000\r\n\r\n" + b"x" * 100_000,
        b"Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 17,
    ],
    ids=["nothing sent", "some sent", "asked before", "in chunks"],
)
@pytest.mark.parametrize("path", ["/v1/quick/a", "/v1/slow/a"])
def test_a_body_that_is_too_long_is_answered_before_it_is_read(path: str, rest: bytes) -> None:
    async def test(server: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + rest)
        answer = await asyncio.wait_for(reader.read(), 10)  # to the end: what is not read ends the connection
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"the body is longer than the 1 MiB that this call takes" in answer
        assert answer.count(b"HTTP/1.1") == 1
        writer.close()
        await writer.wait_closed()
        assert await server.observed() == ("own", f"{path[:-1]}*", "POST", 413)

    scenario(test)


def test_a_connection_goes_on_once_a_refused_body_was_sent_to_its_end() -> None:
    async def test(server: Running) -> None:
        for content, status in ((b"x" * 2**21, 413), (b"", 405)):
            answer = await server.client.post("/v1/quick/a", content=content)
            assert answer.status_code == status
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            await server.observed()

    scenario(test)


def test_of_the_bodies_that_are_not_here_whole_the_oldest_are_refused_beyond_their_bound() -> None:
    async def test(server: Running) -> None:
        head = b"POST /v1/quick/a HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        connections = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(head + b"x" * 600_000)  # each for ever silent after this
            await writer.drain()
            connections.append((reader, writer))
        first = await asyncio.wait_for(connections[0][0].readline(), 10)
        assert first.startswith(b"HTTP/1.1 503 ")
        assert (await server.client.post("/v1/quick/a", content=b"x" * 1_000)).status_code == 405
        for _, writer in connections:
            writer.close()
            await writer.wait_closed()

    scenario(test)


def test_a_server_that_closes_answers_what_came_and_refuses_what_comes() -> None:
    async def test(server: Running) -> None:
        first = asyncio.create_task(server.client.get("/v1/slow/wait"))
        await WAITING.started.wait()
        closing = asyncio.create_task(server.in_flight.close())
        await asyncio.sleep(0)
        for path in ("/v1/quick/a", "/v1/slow/a"):
            refused = await server.client.get(path)
            assert (refused.status_code, refused.headers["Connection"]) == (503, "close")
            assert refused.headers["Retry-After"] == "1"
        assert not closing.done()
        WAITING.go_on.set()
        assert (await first).status_code == 200
        await asyncio.wait_for(closing, 10)

    scenario(test)


def test_the_methods_that_a_path_has_are_named_where_one_is_missing() -> None:
    async def test(server: Running) -> None:
        for path in ("/v1/quick/a", "/v1/slow/a"):
            answer = await server.client.put(path)
            assert answer.status_code == 405
            assert set(answer.headers["Allow"].split(", ")) == {"GET", "OPTIONS"}

    scenario(test)


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("path", ["/v1/slow/a", "/v1/none", "/none"])
def test_too_many_parameters_are_refused_with_a_body(method: str, path: str) -> None:
    async def test(server: Running) -> None:
        params = {f"p{number}": "1" for number in range(1_001)}
        answer = await server.client.request(method, path, params=params)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "expected at most 1,000 parameters"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await server.observed())[2:] == (method, 400)

    scenario(test)
