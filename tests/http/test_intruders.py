"""Who may sign in, who may not, and from which pages."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pymongo.database import Database
from tornado.web import create_signed_value

from app.errors import TooManyFailures, WrongPassword
from app.services.accounts import Accounts
from app.storage.client import connect
from app.storage.store import Store
from tests.servers import COUNTING, PASSWORD, SECRET, Researcher, Server


def credentials(name: str, password: str = PASSWORD) -> dict[str, str]:
    """The body of a sign-in."""
    return {"username": name, "password": password}


@pytest.fixture
def anybody(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def admin(server: Server) -> Iterator[Researcher]:
    with server.researcher(admin=True) as somebody:
        yield somebody


PRIVATE = [
    ("GET", "/exp"),
    ("POST", "/exp"),
    ("GET", "/exp/0123"),
    ("PUT", "/exp/0123"),
    ("DELETE", "/exp/0123"),
    ("GET", "/exp/defaults"),
    ("GET", "/exp/defaults/0"),
    ("POST", "/exp/check"),
    ("POST", "/exp/0123/try"),
    ("GET", "/stats/0123/currenttheta"),
    ("GET", "/stats/0123/summary"),
    ("GET", "/user"),
    ("POST", "/user"),
]
OF_AN_EXPERIMENT = [(method, url) for method, url in PRIVATE if "0123" in url]


@pytest.mark.parametrize(("method", "url"), PRIVATE)
def test_whoever_is_not_signed_in_is_told_to(anybody: httpx.Client, method: str, url: str) -> None:
    answer = anybody.request(method, url, json={"name": "x", **credentials("somebody")})
    assert answer.status_code == 401
    assert "sign in first" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("method", "url"), OF_AN_EXPERIMENT)
def test_a_foreign_experiment_is_as_if_it_did_not_exist(
    researcher: Researcher, other: Researcher, method: str, url: str
) -> None:
    theirs = other.create(**COUNTING)
    foreign = researcher.http.request(method, url.replace("0123", theirs.id), json={"name": "x"})
    unknown = researcher.http.request(method, url.replace("0123", "0" * len(theirs.id)), json={"name": "x"})
    assert foreign.status_code == unknown.status_code == 401
    assert foreign.text.replace(theirs.id, "ID") == unknown.text.replace("0" * len(theirs.id), "ID")
    assert other.http.get(f"/exp/{theirs.id}").status_code == 200


def test_the_cookie_is_out_of_reach_for_scripts_of_pages(server: Server, anybody: httpx.Client) -> None:
    server.add_account("cookie-eater")
    answer = anybody.post("/login", json=credentials("cookie-eater"))
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("user=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie  # plain HTTP


def test_signing_out_ends_the_session_and_not_only_the_cookie(researcher: Researcher, server: Server) -> None:
    cookie = researcher.http.cookies["user"]
    assert researcher.http.get("/logout").json() == {"status": "success"}
    assert "user" not in researcher.http.cookies
    with server.client(cookies={"user": cookie}) as client:
        assert client.get("/exp").status_code == 401


@pytest.mark.parametrize("forge", ["cut", "flipped", "empty", "unsigned", "other secret", "garbage"])
def test_a_forged_cookie_is_nobody(researcher: Researcher, server: Server, forge: str) -> None:
    cookie = researcher.http.cookies["user"]
    forged = {
        "cut": cookie[:-1],
        "flipped": cookie[:-1] + ("0" if cookie[-1] != "0" else "1"),
        "empty": "",
        "unsigned": researcher.name,
        "other secret": create_signed_value("a secret made up by somebody", "user", researcher.name).decode(),
        "garbage": "2|1:0|10:9999999999|4:user|x|" + "y" * 3_000,
    }[forge]
    with server.client(headers={"Cookie": f"user={forged}"}) as client:
        assert client.get("/exp").status_code == 401


def test_a_well_signed_cookie_with_a_token_of_no_session_is_nobody(server: Server) -> None:
    signed = create_signed_value(SECRET, "user", secrets.token_urlsafe(32)).decode()
    with server.client(headers={"Cookie": f'user="{signed}"'}) as client:
        assert client.get("/exp").status_code == 401


@pytest.fixture(autouse=True)
def no_failures_yet(database: Database[dict[str, Any]]) -> None:
    """All tests call from one address, whose failures are counted together."""
    database.failures.delete_many({})


@asynccontextmanager
async def opened_accounts(mongo: str, database_name: str, rounds: int = 4) -> AsyncIterator[Accounts]:
    """Accounts straight on the database, with passwords that cost little."""
    store = Store(connect(mongo, database_name))
    accounts = Accounts(store, rounds)
    yield accounts
    accounts.close()
    await store.close()


def test_one_address_cannot_try_a_password_on_name_after_name(mongo: str, database_name: str) -> None:
    async def scenario() -> None:
        async with opened_accounts(mongo, database_name) as accounts:
            await accounts.add("sprayed", PASSWORD)
            for number in range(59):
                with pytest.raises(WrongPassword):
                    await accounts.sign_in(f"name-{number}", "password1", "192.0.2.1")
            await accounts.sign_in("sprayed", PASSWORD, "192.0.2.1")  # does not count, and forgives nothing
            with pytest.raises(WrongPassword):
                await accounts.sign_in("name-60", "password1", "192.0.2.1")
            with pytest.raises(TooManyFailures):
                await accounts.sign_in("sprayed", PASSWORD, "192.0.2.1")
            assert await accounts.sign_in("sprayed", PASSWORD, "192.0.2.2")

    asyncio.run(scenario())


def test_a_name_that_fails_from_everywhere_is_slowed_down_and_not_locked(mongo: str, database_name: str) -> None:
    async def scenario() -> float:
        async with opened_accounts(mongo, database_name) as accounts:
            await accounts.add("hunted", PASSWORD)
            for number in range(20):
                with pytest.raises(WrongPassword):
                    await accounts.sign_in("hunted", "a wrong guess", f"192.0.2.{number}")
            started = time.monotonic()
            assert await accounts.sign_in("hunted", PASSWORD, "198.51.100.1")
            return time.monotonic() - started

    assert asyncio.run(scenario()) > 1.9


def test_of_a_crowd_that_signs_in_those_beyond_twenty_are_told_to_come_back(mongo: str, database_name: str) -> None:
    async def scenario() -> list[str]:
        async with opened_accounts(mongo, database_name, rounds=11) as accounts:
            await accounts.add("patient", PASSWORD)
            calls = [accounts.sign_in(f"nobody-{n}", "x", f"192.0.2.{n}") for n in range(60)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            for _ in range(2):  # who was sent away is not counted as having failed
                assert await accounts.sign_in("patient", PASSWORD, "192.0.2.59")
            return [type(outcome).__name__ for outcome in outcomes]

    outcomes = asyncio.run(scenario())
    assert outcomes.count("WrongPassword") >= 20
    assert outcomes.count("SignInsBusy") >= 20
    assert len(outcomes) == outcomes.count("WrongPassword") + outcomes.count("SignInsBusy")


def test_changing_a_password_counts_failures_as_signing_in_does(researcher: Researcher) -> None:
    wrong = {"password": "not mine", "new_password": "another password"}
    statuses = [researcher.http.put("/user", json=wrong).status_code for _ in range(12)]
    assert statuses == [400] * 10 + [429] * 2


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(server: Server, anybody: httpx.Client) -> None:
    server.add_account("well-known")
    wrong = anybody.post("/login", json=credentials("well-known", "wrong password"))
    unknown = anybody.post("/login", json=credentials("unknown", "wrong password"))
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text == unknown.text
    assert "Set-Cookie" not in wrong.headers


def test_after_ten_failures_even_the_right_password_has_to_wait(server: Server, anybody: httpx.Client) -> None:
    server.add_account("attacked")
    for _ in range(10):
        assert anybody.post("/login", json=credentials("attacked", "a wrong guess")).status_code == 401
    answer = anybody.post("/login", json=credentials("attacked"))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "try again in 5 minutes" in answer.json()["error"]["message"]
    # Others at the same address are not held up.
    server.add_account("left-alone")
    assert anybody.post("/login", json=credentials("left-alone")).status_code == 200


def test_a_hundred_guesses_at_once_are_no_way_around_the_limit(server: Server) -> None:
    server.add_account("raced")

    async def guess() -> list[int]:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            calls = (client.post("/login", json=credentials("raced", f"guess {n}")) for n in range(40))
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    statuses = asyncio.run(guess())
    assert statuses.count(401) == 10
    assert statuses.count(429) == 30


def test_the_right_password_clears_the_count(server: Server, anybody: httpx.Client) -> None:
    server.add_account("forgetful")
    for _ in range(3):
        for _ in range(6):
            assert anybody.post("/login", json=credentials("forgetful", "not this one")).status_code == 401
        assert anybody.post("/login", json=credentials("forgetful")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "a"},
        {"password": "b"},
        credentials(""),
        {"username": ["a"], "password": {}},
        {"username": "a", "password": None},
        credentials("a", "x" * 12_000),
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_sign_in_that_lacks_something_says_what(anybody: httpx.Client, body: dict[str, object]) -> None:
    answer = anybody.post("/login", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"]["parameter"] in ("username", "password")


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 1_000, "ä" * 200, "a\nb", "$where", "{}"])
def test_names_made_to_confuse_the_database_are_nobody(anybody: httpx.Client, name: str) -> None:
    answer = anybody.post("/login", content=json.dumps(credentials(name)))
    assert answer.status_code in (400, 401)


@pytest.mark.parametrize(
    "password",
    ["ä" * 50, "x" * 72, "x" * 73, "x" * 100, "nul\0in the middle", "\0" * 8, "🎲" * 20, "  spaces  "],
    ids=lambda password: repr(password)[:20],
)
def test_any_password_of_eight_characters_or_more_works_whole(
    server: Server, admin: Researcher, anybody: httpx.Client, password: str
) -> None:
    """Nothing is cut: one that begins alike is another."""
    name = f"user-{secrets.token_hex(4)}"
    assert admin.http.post("/user", json=credentials(name, password)).json() == {"status": "success"}
    assert anybody.post("/login", json=credentials(name, password[:-1])).status_code == 401
    assert anybody.post("/login", json=credentials(name, password + "x")).status_code == 401
    assert anybody.post("/login", json=credentials(name, password)).status_code == 200


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (credentials("new-one", "short"), "password"),
        (credentials("new-one", "1234567"), "password"),
        (credentials("new-one", "x" * 1_001), "password"),
        (credentials("", PASSWORD), "username"),
        (credentials("two words", PASSWORD), "username"),
        (credentials("x" * 65, PASSWORD), "username"),
        (credentials("a/b", PASSWORD), "username"),
        (credentials("a\0b", PASSWORD), "username"),
        ({"username": 3, "password": PASSWORD}, "username"),
        ({"username": "new-one", "password": 12345678}, "password"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_account_that_cannot_be_is_refused(admin: Researcher, body: dict[str, object], parameter: str) -> None:
    answer = admin.http.post("/user", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"]["parameter"] == parameter


def test_a_name_is_taken_once(admin: Researcher, researcher: Researcher) -> None:
    answer = admin.http.post("/user", json=credentials(researcher.name))
    assert answer.status_code == 400
    assert "in use" in answer.json()["error"]["message"]


def test_while_registration_is_closed_only_admins_add_researchers(researcher: Researcher, admin: Researcher) -> None:
    name = f"user-{secrets.token_hex(4)}"
    assert researcher.http.post("/user", json=credentials(name)).status_code == 401
    assert admin.http.post("/user", json=credentials(name)).status_code == 200
    assert researcher.http.get("/user").json() == {"username": researcher.name, "admin": False}
    assert admin.http.get("/user").json() == {"username": admin.name, "admin": True}


def test_where_registration_is_open_anybody_becomes_a_researcher_but_no_admin(start: Callable[..., Server]) -> None:
    with start(**{"accounts.registration": "open"}).client() as client:
        assert client.post("/user", json={**credentials("newcomer"), "admin": True}).status_code == 401
        assert client.post("/user", json=credentials("newcomer")).json() == {"status": "success"}
        assert client.post("/login", json=credentials("newcomer")).json() == {"status": "success"}
        assert client.get("/user").json() == {"username": "newcomer", "admin": False}


# Pages of other sites ----------------------------------------------------------------------------------------------

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_the_cookie_does_not_work_from_a_page_of_another_site(researcher: Researcher, headers: dict[str, str]) -> None:
    for method, url in [("GET", "/exp"), ("POST", "/exp"), ("GET", "/logout"), ("POST", "/login"), ("POST", "/user")]:
        answer = researcher.http.request(method, url, headers=headers, json={"name": "x"})
        assert answer.status_code == 403, (method, url)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.json()["error"]["code"] == 403
    assert researcher.http.get("/exp").json() == {}


def test_without_such_headers_or_from_the_same_origin_it_works(researcher: Researcher) -> None:
    origin = str(researcher.http.base_url).rstrip("/")
    for headers in ({}, {"Origin": origin}, {"Origin": origin, "Sec-Fetch-Site": "same-origin"}):
        assert researcher.http.get("/exp", headers=headers).status_code == 200
    for site in ("none", "same-site"):
        assert researcher.http.get("/exp", headers={"Sec-Fetch-Site": site}).status_code == 200


def test_public_calls_are_for_pages_of_any_site(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    url, parameters = f"/getaction/{experiment.id}", {"key": experiment.key}
    for headers in FOREIGN:
        answer = researcher.http.get(url, params=parameters, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    preflight = researcher.http.options(url, headers={"Origin": "https://shop.example"})
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    refused = researcher.http.get(url, headers={"Origin": "https://shop.example"})
    assert refused.status_code == 400
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


def test_an_allowed_origin_may_call_with_the_cookie(start: Callable[..., Server]) -> None:
    allowed = "http://client.example:4200"
    server = start(**{"http.allowed_origins": [allowed]})
    headers = {"Origin": allowed, "Sec-Fetch-Site": "cross-site", "Content-Type": "application/vnd.api+json"}
    with server.client() as client:
        asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
        for url in ("/exp", "/exp/0123", "/login", "/stats/0123/summary"):
            preflight = client.options(url, headers={"Origin": allowed, **asked})
            assert preflight.status_code in (200, 204)
            assert preflight.headers["Access-Control-Allow-Origin"] == allowed
            assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
            assert {"PUT", "DELETE"} <= set(preflight.headers["Access-Control-Allow-Methods"].split(", "))
            assert "content-type" in preflight.headers["Access-Control-Allow-Headers"].lower()
        unsigned = client.get("/exp", headers=headers)
        assert unsigned.status_code == 401
        assert unsigned.headers["Access-Control-Allow-Origin"] == allowed
    with server.researcher() as researcher:
        answer = researcher.http.post("/exp", headers=headers, content='{"name": "from afar"}')
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == allowed
        assert answer.headers["Vary"] == "Origin"
        assert researcher.http.get("/exp", headers={"Origin": "http://client.example"}).status_code == 403
