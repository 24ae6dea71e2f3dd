"""Accounts: who may add, see and remove them, and what ends a session."""

from __future__ import annotations

from tests.servers import PASSWORD, Researcher, Server


def test_somebody_signed_in_is_told_who_they_are(researcher: Researcher) -> None:
    assert researcher.http.get("/user").json() == {"username": researcher.name, "admin": False}


def test_signing_out_ends_the_session_itself_not_only_the_cookie(researcher: Researcher) -> None:
    cookies = dict(researcher.http.cookies)
    assert researcher.http.get("/logout").json() == {"status": "success"}
    assert researcher.http.get("/user").status_code == 401
    researcher.http.cookies.update(cookies)
    assert researcher.http.get("/user").status_code == 401


def test_signing_out_everywhere_ends_all_sessions(server: Server, researcher: Researcher) -> None:
    with Researcher(server.client(), researcher.name) as elsewhere:
        assert researcher.http.post("/logout/everywhere").json() == {"status": "success"}
        assert elsewhere.http.get("/user").status_code == 401


def test_a_changed_password_ends_other_sessions_and_the_old_password(server: Server, researcher: Researcher) -> None:
    with Researcher(server.client(), researcher.name) as elsewhere:
        wrong = {"password": "wrong", "new_password": "another password"}
        assert researcher.http.put("/user", json=wrong).status_code == 400
        right = {"password": PASSWORD, "new_password": "another password"}
        assert researcher.http.put("/user", json=right).json() == {"status": "success"}
        assert researcher.http.get("/user").status_code == 200
        assert elsewhere.http.get("/user").status_code == 401
    old = researcher.http.post("/login", json={"username": researcher.name, "password": PASSWORD})
    assert old.status_code == 401


def test_admins_add_list_and_remove_users(server: Server, researcher: Researcher) -> None:
    server.run("user", "add", "chief", "--admin", "--password-stdin", text=PASSWORD)
    with Researcher(server.client(), "chief") as chief:
        assert chief.http.post("/user", json={"username": "new", "password": PASSWORD}).json() == {"status": "success"}
        users = chief.http.get("/users").json()
        assert {"username": "new", "admin": False} in users
        assert {"username": "chief", "admin": True} in users
        with Researcher(server.client(), "new") as new:
            assert chief.http.delete("/users/new").json() == {"status": "success"}
            assert new.http.get("/user").status_code == 401
        assert chief.http.delete("/users/new").status_code == 404
        assert chief.http.delete("/users/chief").status_code == 400
    for refused in (
        researcher.http.get("/users"),
        researcher.http.delete("/users/chief"),
        researcher.http.post("/user", json={"username": "x", "password": PASSWORD}),
    ):
        assert refused.status_code == 401
