"""One's own account, and the users for administrators."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboard.conftest import Visitor, fresh
from tests.servers import PASSWORD, Researcher, Server


@pytest.fixture
def elsewhere(server: Server, account: str) -> Iterator[Researcher]:
    """The same account, signed in once more."""
    with Researcher(server.client(), account) as somebody:
        yield somebody


def test_a_changed_password_ends_the_sessions_elsewhere(
    signed_in: Visitor, elsewhere: Researcher, account: str
) -> None:
    page = signed_in("/ui/account")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(" a new password ")
    page.get_by_label("Confirm new password").fill("another one")
    page.get_by_role("button", name="Change password").click()
    assert page.get_by_role("alert").inner_text() == "The two new passwords differ."
    page.get_by_label("Confirm new password").fill(" a new password ")
    page.get_by_role("button", name="Change password").click()
    toast = page.get_by_role("status")
    toast.wait_for()
    assert toast.inner_text() == "Your password was changed."
    assert page.get_by_label("Current password").input_value() == ""
    assert elsewhere.http.get("/user").status_code == 401
    signed_in("/ui/account")
    assert page.url.endswith("/ui/account")
    page.get_by_role("button", name=account).click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/ui/sign-in")
    signed_in.sign_in(account, " a new password ")


@pytest.mark.slow
def test_the_wrong_present_password_is_told(signed_in: Visitor) -> None:
    page = signed_in("/ui/account")
    signed_in.expect(400)
    page.get_by_label("Current password").fill("wrong")
    for label in ("New password", "Confirm new password"):
        page.get_by_label(label, exact=True).fill("another password")
    page.get_by_role("button", name="Change password").click()
    alert = page.get_by_role("alert").filter(visible=True)
    alert.wait_for()
    assert alert.inner_text() == "Password: this is not your current password."


def test_signing_out_everywhere_ends_this_session_too(signed_in: Visitor, elsewhere: Researcher) -> None:
    page = signed_in("/ui/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    page.wait_for_url("**/ui/sign-in")
    assert elsewhere.http.get("/user").status_code == 401


def test_an_administrator_adds_and_removes_users(visit: Visitor, server: Server) -> None:
    visit.sign_in(fresh(server, admin=True))
    page = visit("/ui/users")
    name = "grün+1@example.org"
    page.get_by_label("User name").fill(name)
    page.get_by_label("First password").fill(PASSWORD)
    page.get_by_label("Administrator").check()
    page.get_by_role("button", name="Add user").click()
    row = page.get_by_role("row").filter(has_text=name)
    row.wait_for()
    assert "Administrator" in row.inner_text()
    assert page.get_by_role("status").inner_text() == "The account was added. Tell its owner the password."
    with Researcher(server.client(), name) as new:
        assert new.http.get("/user").json() == {"username": name, "admin": True}
        page.get_by_role("button", name=f"Remove {name}").click()
        page.get_by_role("dialog").get_by_role("button", name=f"Remove {name}").click()
        row.wait_for(state="detached")
        assert new.http.get("/user").status_code == 401


@pytest.mark.slow
def test_a_name_that_cannot_be_is_told(visit: Visitor, server: Server) -> None:
    visit.sign_in(fresh(server, admin=True))
    visit.expect(400)
    page = visit("/ui/users")
    page.get_by_label("User name").fill("<b>bold</b>")
    page.get_by_label("First password").fill(PASSWORD)
    page.get_by_role("button", name="Add user").click()
    alert = page.get_by_role("alert").filter(visible=True)
    alert.wait_for()
    assert alert.inner_text() == "Username: expected 1 to 64 letters, digits or any of . _ @ + -."


def test_others_do_not_see_the_users(signed_in: Visitor) -> None:
    page = signed_in("/ui/users", expect=403)
    assert page.get_by_role("heading", level=1).inner_text() == "For administrators only"
    assert page.get_by_role("link", name="Users").count() == 0


@pytest.mark.parametrize("admin", [1, "true", None, []])
def test_an_administrator_is_asked_for_with_true_and_nothing_like_it(server: Server, admin: object) -> None:
    with server.researcher(admin=True) as chief:
        body = {"username": f"new-{admin!r}".replace("'", "")[:9], "password": PASSWORD, "admin": admin}
        assert chief.http.post("/user", json=body).status_code == 400


def test_only_administrators_make_administrators_where_registration_is_open(server: Server) -> None:
    with server.researcher() as somebody:
        refused = somebody.http.post("/user", json={"username": "chief", "password": PASSWORD, "admin": True})
        assert refused.status_code == 401
