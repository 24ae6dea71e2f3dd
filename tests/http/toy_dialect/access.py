"""Who may call the toy API: two tokens, of which one may only look."""

from __future__ import annotations

from hashlib import sha256

from app.http.auth import BearerToken, Caller
from app.services.services import Services

LOOK, FLIP = "look", "flip"
READER, PLAYER = "token-of-a-reader", "token-of-a-player"


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


_CALLERS = {
    _hash(READER): Caller("reader", frozenset({LOOK})),
    _hash(PLAYER): Caller("player", frozenset({LOOK, FLIP})),
}


async def resolve(services: Services, token: str) -> Caller | None:
    """Whose token it is."""
    return _CALLERS.get(_hash(token))


TOKENS = BearerToken(resolve, header="X-Toy-Token")
