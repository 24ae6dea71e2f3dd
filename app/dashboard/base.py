"""What all pages share: templates, headers, who is signed in, protection of forms, errors in the same look."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from functools import partial
from http.client import responses
from typing import Any
from urllib.parse import urlencode

from tornado.template import Loader
from tornado.web import HTTPError

from app.dashboard.assets import Assets, Collection
from app.dashboard.pages.glossary import term_button, terms_shown
from app.dashboard.words import ago, number
from app.domain.user import User
from app.errors import AdminsOnly, ForeignOrigin, NotSignedIn, NotYours, ThetaloopError
from app.http.base import Handler
from app.http.errors import RETRY_AFTER_SECONDS

HOME = "/ui/experiments"
SIGN_IN = "/ui/sign-in"
# Nothing is loaded from elsewhere, no script stands in a page, and no other site may frame one.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'; object-src 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_LOCAL_PATH = re.compile(r"/ui(/[A-Za-z0-9_.~%-]+)*/?(\?[A-Za-z0-9_.~%&=+-]*)?")
# "all": Tornado would collapse the white space in .html, and with it the Python in a text field.
_LOADER = Loader(str(__file__).rpartition("/")[0] + "/templates", whitespace="all")


class PageHandler(Handler):
    """A page: errors are pages too, and without a session it redirects to the sign-in page unless it is ``open``."""

    content_type = "text/html; charset=UTF-8"
    open = False
    user: User | None = None
    _collection: Collection | None = None

    def set_default_headers(self) -> None:
        """The headers that make a page safe, on error pages too."""
        super().set_default_headers()
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        """Find the user, and refuse forms that other sites send or that lack the XSRF token."""
        assets: Assets = self.settings["assets"]
        self._collection = await assets.collection()
        super().prepare()
        if self.request.method not in ("GET", "HEAD"):
            if self.from_elsewhere:
                raise ForeignOrigin(self.request.headers.get("Origin") or "another site")
            self.check_xsrf_cookie()
        try:
            self.user = await self.require_user()
        except NotSignedIn:
            if not self.open:
                raise

    def head(self, *path: str) -> Awaitable[None] | None:
        """As get; Tornado leaves the body out."""
        answer: Awaitable[None] | None = self.get(*path)
        return answer

    @property
    def reader(self) -> User:
        """The user, on a page that is not ``open``."""
        assert self.user is not None
        return self.user

    def asset(self, name: str) -> str:
        """The URL of a style sheet, a script or a folder of them."""
        assert self._collection is not None
        return f"/ui/assets/{self._collection.version}/{name}"

    def show(self, template: str, **values: Any) -> None:
        """Answer with a page."""
        terms: dict[str, None] = {}
        page = _LOADER.load(template).generate(
            user=self.user,
            here=self.request.path,
            asset=self.asset,
            xsrf_token=self.xsrf_token.decode(),
            xsrf_form_html=self.xsrf_form_html,
            term=partial(term_button, terms),
            terms_shown=partial(terms_shown, terms),
            ago=ago,
            number=number,
            **values,
        )
        self.finish(page)

    @property
    def next_path(self) -> str:
        """Where to go after signing in: a page of ours that the URL names, else the list of experiments."""
        wanted = self.get_argument("next", "")
        return wanted if _LOCAL_PATH.fullmatch(wanted) else HOME

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Redirect to the sign-in page if the error is that nobody is signed in."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, NotSignedIn) and not self._headers_written:
            self.clear()
            here = self.request.uri if self.request.method == "GET" else None
            self.redirect(SIGN_IN + (f"?{urlencode({'next': here})}" if here and here != HOME else ""))
            return
        super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Show a page that says what happened and what to do."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if self._collection is None:  # refused before anything was prepared, as an unknown method is
            super().write_error(status_code, **kwargs)
            return
        if status_code in RETRY_AFTER_SECONDS:
            self.set_header("Retry-After", RETRY_AFTER_SECONDS[status_code])
        title, message = _explained(status_code, error)
        self.show("error.html", status=status_code, title=title, message=message)


def _explained(status: int, error: BaseException | None) -> tuple[str, str]:
    """A heading and a sentence for people."""
    if isinstance(error, NotYours) or status == 404:
        return "Page not found", "The page or experiment does not exist, or it belongs to another user."
    if isinstance(error, AdminsOnly):
        return "For administrators only", "Ask an administrator of this server to do this, or to make you one."
    if isinstance(error, ThetaloopError):
        return _TITLES.get(status, "The request failed"), error.message[:1].upper() + error.message[1:] + "."
    if isinstance(error, HTTPError) and status == 403:
        return "This form is no longer valid", "Allow cookies for this site, reload the page and send the form again."
    if status < 500:
        return _TITLES.get(status, "The request failed"), f"The server answered: {responses.get(status, '')}."
    return "Internal error", "The server log has the details. Try again in a moment."


_TITLES = {
    403: "Refused",
    429: "Too many attempts",
    503: "The server cannot answer just now",
}
