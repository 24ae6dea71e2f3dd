"""``/livez``, ``/readyz`` and ``/health``: what a supervisor, a load balancer and people ask of a server.

None of them waits for more than a second, as long as probes wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from app.errors import EngineAway, StoreUnavailable, ThetaloopError
from app.http.auth import ADMIN, CookieSession
from app.http.base import JsonHandler
from app.services.disk import DataDisk

_MAX_SECONDS = 1.0
T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """One thing that the server depends on."""

    name: str
    ok: bool
    detail: str = ""


class Live(JsonHandler):
    """``/livez``: answers while this process does. MongoDB is not asked: its outage is no reason to kill servers."""

    public = True

    async def get(self) -> None:
        """Answer 200."""
        self.send({"status": "ok"})

    head = get


class Health(JsonHandler):
    """``/health``: answers 200 while MongoDB answers, else 503."""

    public = True

    async def get(self) -> None:
        """The state of what the server depends on."""
        _, sandbox = await asyncio.gather(
            _within(self.services.store.ping(), StoreUnavailable()),
            _within(self.services.pool.confinement(), EngineAway()),
        )
        self.send({"status": "ok", "mongodb": "ok", "sandbox": sandbox})

    head = get


class Ready(JsonHandler):
    """``/readyz``: answers 200 while calls may be sent here, else 503. Administrators are told why."""

    public = True

    async def get(self) -> None:
        """Answer ``{status, generated_at}``, to administrators with ``checks``: what is wrong."""
        *checks, admin = await asyncio.gather(self._mongodb(), self._sandbox(), self._is_admin())
        checks += [self._disk(), Check("draining", not self._in_flight.leaving, "no more calls are taken soon")]
        ready = all(check.ok for check in checks)
        answer: dict[str, Any] = {"status": "ready" if ready else "not ready", "generated_at": datetime.now(UTC)}
        if admin:
            answer["checks"] = [asdict(check) if not check.ok else {**asdict(check), "detail": ""} for check in checks]
        self.set_status(200 if ready else 503)
        self.send(answer)

    head = get

    async def _mongodb(self) -> Check:
        return await _check("mongodb", _within(self.services.store.ping(), StoreUnavailable()))

    async def _sandbox(self) -> Check:
        return await _check("sandbox", self._require_sandbox())

    async def _require_sandbox(self) -> None:
        active = await _within(self.services.pool.confinement(), EngineAway())
        if not active["safe"] and not active.get("unsafe"):
            raise ThetaloopError(f"scripts are not confined, so they are refused: {active.get('reason', '')}")

    def _disk(self) -> Check:
        disk: DataDisk = self.settings["disk"]
        return Check("disk", not disk.full, "the disk of data_dir is nearly full, so calls that write are refused")

    async def _is_admin(self) -> bool:
        try:
            return ADMIN in (await _within(CookieSession().identify(self), StoreUnavailable())).scopes
        except ThetaloopError:
            return False


async def _within(work: Awaitable[T], otherwise: ThetaloopError) -> T:
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            return await work
    except TimeoutError:
        raise otherwise from None


async def _check(name: str, work: Awaitable[Any]) -> Check:
    try:
        await work
    except ThetaloopError as error:
        return Check(name, False, error.message)
    return Check(name, True)


ROUTES = [(r"/(?i:health)", Health), (r"/(?i:livez)", Live), (r"/(?i:readyz)", Ready)]
