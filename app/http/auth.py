"""Who calls, and what they may: the cookie of a session, an experiment's key, a bearer token with scopes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.domain.user import User
from app.errors import NotSignedIn, ScopeMissing, TokenRefused
from app.http.arguments import text
from app.services.services import Services

SESSION_COOKIE = "user"
ADMIN = "admin"
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/=-]{1,1024}) *")


@dataclass(frozen=True)
class Caller:
    """Somebody whom an API knows: their name and the scopes they have, and the account where they have one."""

    name: str
    scopes: frozenset[str] = frozenset()
    user: User | None = None

    def require(self, scope: str) -> None:
        """Return if the caller has the scope; raise ``ScopeMissing`` otherwise."""
        if scope not in self.scopes:
            raise ScopeMissing(scope)


class Incoming(Protocol):
    """What authentication reads of a request; handlers of both kinds are such."""

    services: Services

    @property
    def request_headers(self) -> Mapping[str, str]:
        """The headers of the request; names in any case."""

    @property
    def session_token(self) -> str | None:
        """The token in the signed session cookie; None if it is missing or forged."""


class Authentication(Protocol):
    """How an API finds out who calls."""

    async def identify(self, request: Incoming) -> Caller:
        """Return who calls; raise an ``Unauthenticated`` error if nobody can be told."""


class CookieSession:
    """The cookie of the sign-in. Administrators have the scope ``admin``."""

    async def identify(self, request: Incoming) -> Caller:
        """Return whose session it is; raise ``NotSignedIn`` without one."""
        user = await request.services.accounts.signed_in(request.session_token)
        return Caller(user.name, frozenset({ADMIN} if user.admin else ()), user)


@dataclass(frozen=True)
class BearerToken:
    """A token in ``Authorization: Bearer TOKEN``, or in another ``header`` of the API.

    ``resolve`` is the API's own: it takes the services and a token, and returns whose it is, or None. It must compare
    in constant time or look up a hash, as it is given whatever anybody sends.
    """

    resolve: Callable[[Services, str], Awaitable[Caller | None]]
    header: str = ""

    async def identify(self, request: Incoming) -> Caller:
        """Return whose token it is; raise ``TokenRefused`` without a valid one."""
        token = self.token(request.request_headers)
        caller = await self.resolve(request.services, token) if token else None
        if caller is None:
            raise TokenRefused()
        return caller

    def token(self, headers: Mapping[str, str]) -> str | None:
        """The token that a request brings; a malformed ``Authorization`` is as none."""
        found = _BEARER.fullmatch(headers.get("Authorization", ""))
        if found:
            return found[1]
        return headers.get(self.header) or None if self.header else None


@dataclass(frozen=True)
class ExperimentKey:
    """Where an API's callers put the key of an experiment: a parameter, or a header where that is named too."""

    parameter: str = "key"
    header: str = ""

    def read(self, parameters: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        """Return the key that came, the parameter before the header; raise ``InvalidParameter`` without one."""
        given = parameters.get(self.parameter)
        if given in (None, "") and self.header:
            given = headers.get(self.header)
        return text(self.parameter, given)


def signed_in(caller: Caller) -> User:
    """The account of a caller; ``NotSignedIn`` for one without, such as a token."""
    if caller.user is None:
        raise NotSignedIn()
    return caller.user
