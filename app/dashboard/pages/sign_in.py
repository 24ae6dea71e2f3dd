"""Signing in and out; these pages need no JavaScript."""

from __future__ import annotations

from app.dashboard.base import SIGN_IN, PageHandler
from app.errors import InvalidParameter, TooManyFailures, WrongPassword
from app.http.arguments import text
from app.http.errors import RETRY_AFTER_SECONDS


class SignInPage(PageHandler):
    """``/ui/sign-in``; as long as there is no account, it says how to make one."""

    open = True
    writes = frozenset()
    max_body_bytes = 64 * 2**10  # a form writes a character in up to twelve

    async def get(self) -> None:
        """The form, or straight on for whoever is signed in."""
        if self.user is not None:
            self.redirect(self.next_path)
        elif await self.services.accounts.none_yet():
            self.show("first_steps.html")
        else:
            self.show("sign_in.html", name="", problem="", next=self.next_path)

    async def post(self) -> None:
        """Sign in, and go where the reader wanted to go."""
        name = self.get_body_argument("username", "", strip=False)
        try:
            token = await self.services.accounts.sign_in(
                text("user name", name),
                text("password", self.get_body_argument("password", "", strip=False), 10_000),
                self.request.remote_ip or "",
            )
        except (InvalidParameter, WrongPassword, TooManyFailures) as error:
            self._refuse(name, error)
        else:
            self.set_session(token)
            self.redirect(self.next_path, status=303)

    def _refuse(self, name: str, error: InvalidParameter | WrongPassword | TooManyFailures) -> None:
        status = self.status_for(error)
        self.set_status(status)
        if status in RETRY_AFTER_SECONDS:
            self.set_header("Retry-After", RETRY_AFTER_SECONDS[status])
        problem = "User name and password do not match." if isinstance(error, WrongPassword) else f"{error.message}."
        self.show("sign_in.html", name=name, problem=problem[:1].upper() + problem[1:], next=self.next_path)


class SignOut(PageHandler):
    """``/ui/sign-out``: a form, so that no link or picture can sign anybody out."""

    open = True
    writes = frozenset()

    async def post(self) -> None:
        """End this session."""
        if self.session_token:
            await self.services.accounts.sign_out(self.session_token)
        self.clear_session()
        self.redirect(SIGN_IN, status=303)
