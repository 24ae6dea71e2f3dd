"""Two routes: flip a coin, and what one can do here."""

from __future__ import annotations

from app.http.arguments import whole
from app.http.base import JsonHandler
from tests.http.toy_dialect.access import FLIP, LOOK
from tests.http.toy_dialect.errors import NoSides


class Menu(JsonHandler):
    """``/menu``."""

    async def get(self) -> None:
        """Who calls, and what they may do."""
        caller = await self.caller(LOOK)
        self.send({"hello": caller.name, "may": sorted(caller.scopes)})


class Coin(JsonHandler):
    """``/coins/NAME``."""

    async def post(self, name: str) -> None:
        """Flip it; ``sides`` says how many it has."""
        await self.caller(FLIP)
        sides = whole("sides", self.json_body().get("sides"), 0, 2)
        if name == "broken":
            raise RuntimeError("the mint is closed")
        if sides < 2:
            raise NoSides(f"the coin {name} has {sides} sides")
        self.send({"coin": name, "side": "heads"})


ROUTES = [(r"/menu", Menu), (r"/coins/([a-z]{1,20})", Coin)]
