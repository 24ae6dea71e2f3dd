"""Signing in and out, and what keeps others from doing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from tests.dashboard.conftest import Visitor
from tests.servers import PASSWORD, Researcher, Server, settings_for

HOME = "/ui/experiments"


@pytest.fixture(scope="module")
def somebody(server: Server) -> Iterator[Researcher]:
    """Signed in, without a browser."""
    with server.researcher() as researcher:
        yield researcher


def form(client: httpx.Client) -> dict[str, str]:
    """The hidden field that every form of ours carries."""
    found = re.search(r'<meta name="xsrf-token" content="([^"]+)">', client.get("/ui/help").text)
    assert found
    return {"_xsrf": found[1]}


def test_whoever_is_not_signed_in_signs_in_first_and_comes_to_where_they_wanted(visit: Visitor, account: str) -> None:
    page = visit("/ui/experiments?q=one")
    assert page.url == f"{visit.url}/ui/sign-in?next=%2Fui%2Fexperiments%3Fq%3Done"
    page.get_by_label("User name").fill(account)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/ui/experiments?q=one")
    assert page.get_by_role("button", name=account).is_visible()


def test_signing_in_and_out_needs_no_javascript(visitors: Callable[..., Visitor], account: str) -> None:
    visit = visitors(java_script_enabled=False)
    page = visit.sign_in(account)
    page.get_by_role("button", name=account).click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/ui/sign-in")
    visit("/ui/experiments")
    assert page.url.endswith("/ui/sign-in")


def test_a_wrong_password_is_told_and_the_name_stays(visit: Visitor, account: str) -> None:
    page = visit("/ui/sign-in")
    visit.expect(401)
    page.get_by_label("User name").fill(account)
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("alert").inner_text() == "User name and password do not match."
    assert page.get_by_label("User name").input_value() == account
    assert page.get_by_label("Password", exact=True).input_value() == ""


def test_after_ten_failures_the_page_says_when_to_come_back(server: Server, account: str) -> None:
    with server.client() as client:
        given = form(client) | {"username": account}
        refused = [client.post("/ui/sign-in", data=given | {"password": f"no {n}"}) for n in range(10)]
        assert {answer.status_code for answer in refused} == {401}
        late = client.post("/ui/sign-in", data=given | {"password": PASSWORD})
        assert late.status_code == 429
        assert late.headers["Retry-After"] == "300"
        assert "try again in 5 minutes" in late.text
        # One count for the page and the API.
        assert client.post("/login", json={"username": account, "password": PASSWORD}).status_code == 429


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/ui/",
        "//evil.example/ui/",
        "/\\evil.example",
        "/ui/\\..\\evil.example",
        "javascript:alert(1)",
        "/ui/\r\nLocation: https://evil.example",
        "/login",
        "ui/experiments",
        "/ui@evil.example",
        "/uievil",
        "",
    ],
)
def test_after_signing_in_nobody_is_sent_elsewhere(server: Server, somebody: Researcher, wanted: str) -> None:
    with server.client() as client:
        given = form(client) | {"username": somebody.name, "password": PASSWORD, "next": wanted}
        answer = client.post("/ui/sign-in", data=given)
        assert (answer.status_code, answer.headers["Location"]) == (303, HOME)
    there = somebody.http.get("/ui/sign-in", params={"next": wanted})
    assert there.headers["Location"] == HOME


def test_a_page_of_ours_with_a_question_mark_is_where_one_comes_back_to(somebody: Researcher) -> None:
    wanted = "/ui/experiments?q=a+b&page=2"
    assert somebody.http.get("/ui/sign-in", params={"next": wanted}).headers["Location"] == wanted


def test_a_form_without_the_token_or_from_another_site_is_refused(server: Server, account: str) -> None:
    given = {"username": account, "password": PASSWORD}
    with server.client() as client:
        assert client.post("/ui/sign-in", data=given).status_code == 403
        token = form(client)
        with server.client() as another:
            assert client.post("/ui/sign-in", data=given | form(another)).status_code == 403
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            refused = client.post("/ui/sign-in", data=given | token, headers=headers)
            assert refused.status_code == 403
            assert "user" not in refused.cookies
        signed_in = client.post("/ui/sign-in", data=given | token)
        assert signed_in.status_code == 303
        cookie = signed_in.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert client.post("/ui/sign-out").status_code == 403
        assert client.get("/user").status_code == 200
        assert client.post("/ui/sign-out", data=token).status_code == 303
        assert client.get("/user").status_code == 401


def test_a_link_on_another_site_may_lead_to_a_page(somebody: Researcher) -> None:
    assert somebody.http.get(HOME, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5_000, "<b>ü</b>", "\ud7ff\U0010ffff"])
def test_strange_names_are_answered_like_wrong_ones(server: Server, name: str) -> None:
    with server.client() as client:
        answer = client.post("/ui/sign-in", data=form(client) | {"username": name, "password": "x"})
        assert answer.status_code in (400, 401)
        assert "<b>" not in answer.text


@pytest.mark.slow
def test_a_server_without_any_account_says_how_to_make_one(
    visitors: Callable[..., Visitor], mongo: str, alone: Database[dict[str, Any]], start: Callable[..., Server]
) -> None:
    server = start(**settings_for(mongo, alone.name))
    visit = visitors(server.url)
    page = visit("/ui/")
    assert page.get_by_role("heading", level=1).inner_text() == "Welcome to Thetaloop"
    assert "thetaloop user add YOUR-NAME --admin" in page.inner_text("main")
    server.add_account("first", admin=True)
    page.get_by_role("link", name="I have an account now").click()
    visit.sign_in("first")


def test_a_forgotten_password_is_an_administrators_matter(visit: Visitor) -> None:
    page = visit("/ui/sign-in")
    page.get_by_text("Forgot password?").click()
    assert "thetaloop user passwd NAME" in page.inner_text("main")


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/"])
def test_the_roots_lead_to_the_pages(server: Server, path: str) -> None:
    answer = httpx.get(server.url + path)
    assert (answer.status_code, answer.headers["Location"]) == (302, HOME)
