"""The least that a Tornado server can do: what ``benchmarks.http`` measures the others against."""

from __future__ import annotations

import asyncio

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

_ANSWER = b'{"action":{"arm":"A","propensity":0.9333333333333333}}'


class Bare(RequestHandler):
    """Answers what a getaction might, without doing anything for it."""

    def get(self, *path: str) -> None:
        """Read a parameter, as every call must, and answer."""
        self.get_query_argument("key", "")
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(_ANSWER)


async def main() -> None:
    """Serve on a free port until killed."""
    server = HTTPServer(Application([(r"/(.*)", Bare)], log_function=lambda handler: None))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    print(f"listening on http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
