"""One's own account, and everybody's for administrators."""

from __future__ import annotations

from app.dashboard.base import PageHandler


class AccountPage(PageHandler):
    """``/ui/account``."""

    def get(self) -> None:
        """Forms to change the password and to end all sessions."""
        self.show("account.html")


class UsersPage(PageHandler):
    """``/ui/users``."""

    async def get(self) -> None:
        """Who has an account; for administrators."""
        self.services.accounts.require_admin(self.reader)
        self.show("users.html", users=await self.services.accounts.all())
