"""The frame of all pages: signing in, headers, errors."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.dashboard.conftest import Visitor
from tests.servers import PASSWORD, Server


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
    page.get_by_role("button", name="Sign out").click()
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


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/"])
def test_the_roots_lead_to_the_pages(server: Server, path: str) -> None:
    answer = httpx.get(server.url + path)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/ui/experiments")


def test_what_does_not_exist_is_answered_in_the_same_look(visit: Visitor) -> None:
    page = visit("/ui/nothing", expect=404)
    assert page.get_by_role("heading").inner_text() == "There is nothing here"
