"""Who calls: bearer tokens, experiment keys, scopes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from app.domain.user import User
from app.errors import InvalidParameter, NotSignedIn, ScopeMissing, TokenRefused
from app.http.auth import BearerToken, Caller, ExperimentKey, signed_in

KNOWN = Caller("somebody", frozenset({"read"}))


async def resolve(services: Any, token: str) -> Caller | None:
    return KNOWN if token == "right" else None


def identify(bearer: BearerToken, headers: dict[str, str]) -> Caller:
    request: Any = SimpleNamespace(services=None, request_headers=HTTPHeaders(headers), session_token=None)
    return asyncio.run(bearer.identify(request))


@pytest.mark.parametrize("value", ["Bearer right", "bearer right", "Bearer   right "])
def test_a_token_is_read_from_the_authorization_header(value: str) -> None:
    assert identify(BearerToken(resolve), {"authorization": value}) is KNOWN


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "right"},
        {"Authorization": "Basic right"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer right wrong"},
        {"Authorization": "Bearer " + "x" * 2_000},
        {"X-API-Key": "right"},
    ],
)
def test_without_a_valid_token_nobody_calls(headers: dict[str, str]) -> None:
    with pytest.raises(TokenRefused):
        identify(BearerToken(resolve), headers)


def test_an_api_may_name_another_header_for_the_token() -> None:
    bearer = BearerToken(resolve, header="X-API-Key")
    assert identify(bearer, {"X-API-Key": "right"}) is KNOWN
    assert identify(bearer, {"Authorization": "Bearer right", "X-API-Key": "wrong"}) is KNOWN
    with pytest.raises(TokenRefused):
        identify(bearer, {"X-API-Key": ""})


def test_a_caller_may_do_what_its_scopes_say() -> None:
    KNOWN.require("read")
    with pytest.raises(ScopeMissing) as refused:
        KNOWN.require("write")
    assert refused.value.detail == {"scope": "write"}


def test_a_token_has_no_account() -> None:
    with pytest.raises(NotSignedIn):
        signed_in(KNOWN)
    user = User("ann", admin=False)
    assert signed_in(Caller("ann", user=user)) is user


def test_an_experiments_key_is_a_parameter_or_a_header_if_the_api_has_one() -> None:
    headers = HTTPHeaders({"X-Key": "from the header"})
    both = ExperimentKey("key", header="X-Key")
    assert both.read({"key": "from the body"}, headers) == "from the body"
    assert both.read({}, headers) == "from the header"
    assert both.read({"key": ""}, headers) == "from the header"
    with pytest.raises(InvalidParameter, match="key: is missing"):
        ExperimentKey("key").read({}, headers)
    with pytest.raises(InvalidParameter, match="key: expected text"):
        ExperimentKey("key").read({"key": 7}, headers)
