"""``/health``: whether this server can do its work, for load balancers and people."""

from __future__ import annotations

from app.http.base import JsonHandler


class Health(JsonHandler):
    """Answers 200 while MongoDB answers, else 503."""

    public = True

    async def get(self) -> None:
        """The state of what the server depends on."""
        await self.services.store.ping()
        self.send({"status": "ok", "mongodb": "ok", "sandbox": await self.services.pool.confinement()})


ROUTES = [(r"/(?i:health)", Health)]
