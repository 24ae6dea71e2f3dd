"""Accounts: signing in and out, adding researchers."""

from __future__ import annotations

from app.errors import InvalidParameter
from app.http.arguments import text
from app.http.base import JsonHandler

_MAX_BODY = 16 * 2**10


class Login(JsonHandler):
    """``/login``."""

    writes = frozenset()  # who signs in may see what there is
    max_body_bytes = _MAX_BODY

    async def post(self) -> None:
        """Sign in and set the session cookie; ``WrongPassword`` or ``TooManyFailures`` otherwise."""
        body = self.json_body()
        name, password = text("username", body.get("username")), text("password", body.get("password"), 10_000)
        token = await self.services.accounts.sign_in(name, password, self.request.remote_ip or "")
        self.set_session(token)
        self.send({"status": "success"})


class Logout(JsonHandler):
    """``/logout``."""

    writes = frozenset()

    async def get(self) -> None:
        """End this session and clear the cookie."""
        if self.session_token:
            await self.services.accounts.sign_out(self.session_token)
        self.clear_session()
        self.send({"status": "success"})

    post = get


class LogoutEverywhere(JsonHandler):
    """``/logout/everywhere``."""

    writes = frozenset()

    async def post(self) -> None:
        """End all sessions of whoever is signed in."""
        await self.services.accounts.sign_out_everywhere(await self.require_user())
        self.clear_session()
        self.send({"status": "success"})


class UserHandler(JsonHandler):
    """``/user``."""

    max_body_bytes = _MAX_BODY

    async def get(self) -> None:
        """Answer who is signed in."""
        user = await self.require_user()
        self.send({"username": user.name, "admin": user.admin})

    async def post(self) -> None:
        """Add an account; for administrators, or anyone if registration is open. Only administrators add others."""
        body = self.json_body()
        admin = body.get("admin", False)
        if not isinstance(admin, bool):
            raise InvalidParameter("admin", "expected true or false")
        if admin or self.services.config.accounts.registration != "open":
            self.services.accounts.require_admin(await self.require_user())
        await self.services.accounts.add(
            text("username", body.get("username")), text("password", body.get("password"), 10_000), admin=admin
        )
        self.send({"status": "success"})

    async def put(self) -> None:
        """Change the caller's password; end all other sessions and send this one a new cookie."""
        user = await self.require_user()
        body = self.json_body()
        password = text("password", body.get("password"), 10_000)
        new_password = text("new_password", body.get("new_password"), 10_000)
        await self.services.accounts.change_password(user, password, new_password, self.request.remote_ip or "")
        self.set_session(await self.services.accounts.begin_session(user))
        self.send({"status": "success"})


class UsersHandler(JsonHandler):
    """``/users``."""

    async def get(self) -> None:
        """List all accounts; for administrators."""
        self.services.accounts.require_admin(await self.require_user())
        users = await self.services.accounts.all()
        self.send([{"username": user.name, "admin": user.admin} for user in users])


class OneUser(JsonHandler):
    """``/users/NAME``."""

    async def delete(self, name: str) -> None:
        """Remove an account that is not the caller's own; for administrators."""
        user = await self.require_user()
        self.services.accounts.require_admin(user)
        if name == user.name:
            raise InvalidParameter("username", "expected somebody else: you cannot remove your own account")
        await self.services.accounts.remove(name)
        self.send({"status": "success"})
