"""Accounts: signing in and out, adding researchers."""

from __future__ import annotations

from app.http.arguments import text
from app.http.base import COOKIE, JsonHandler


class Login(JsonHandler):
    """``/login``."""

    async def post(self) -> None:
        """Sign in: the cookie ``user`` is set."""
        body = self.json_body()
        name, password = text("username", body.get("username")), text("password", body.get("password"), 10_000)
        token = await self.services.accounts.sign_in(name, password, self.request.remote_ip or "")
        self.set_session(token)
        self.send({"status": "success"})


class Logout(JsonHandler):
    """``/logout``."""

    async def get(self) -> None:
        """End this session and clear the cookie."""
        if self.session_token:
            await self.services.accounts.sign_out(self.session_token)
        self.clear_cookie(COOKIE)
        self.send({"status": "success"})

    post = get


class UserHandler(JsonHandler):
    """``/user``."""

    async def get(self) -> None:
        """Who is signed in."""
        user = await self.require_user()
        self.send({"username": user.name, "admin": user.admin})

    async def post(self) -> None:
        """Add a researcher; for admins, or for anyone where registration is open."""
        if self.services.config["accounts.registration"] != "open":
            self.services.accounts.require_admin(await self.require_user())
        body = self.json_body()
        await self.services.accounts.add(
            text("username", body.get("username")), text("password", body.get("password"), 10_000)
        )
        self.send({"status": "success"})
