"""A real browser, and pages that must be beyond reproach.

``browser``    Debian's chromium, one for the module: playwright occupies the thread's event loop while it runs
``visit``      open pages: ``visit("/ui/help")``; fails the test if a page logged an error, broke its content security
               policy or asked another host for anything
``account``    a fresh account, and its name
``signed_in``  the same as ``visit``, for somebody with that account

Without chromium on the PATH the tests are skipped, except in CI.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request, sync_playwright

from tests.servers import PASSWORD, Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# A page that was refused says so in the console as well; that is what the test wanted.
_REFUSED = "Failed to load resource: the server responded with a status of "
_REPORT_VIOLATIONS = """
addEventListener('securitypolicyviolation', event =>
  console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None and "CI" not in os.environ:
        pytest.skip("there is no chromium")
    with sync_playwright() as playwright:
        running = launched(playwright)
        yield running
        running.close()


def launched(playwright: Playwright) -> Browser:
    """Chromium, which has no sandbox of its own for root."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


class Visitor:
    """Somebody with a browser of their own; call it to open a page."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.expected: set[int] = set()
        self.faults: list[str] = []
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"an exception: {error.error}"))
        context.on("request", self._request)
        self.page = context.new_page()

    def __call__(self, path: str, *, expect: int = 200) -> Page:
        """Go to a page that is answered with that status."""
        self.expected.add(expect)
        answer = self.page.goto(self.url + path)
        assert answer is not None
        assert answer.status == expect, f"{path}: {answer.status}"
        return self.page

    def expect(self, *statuses: int) -> None:
        """Such answers to what a page asks for are what the test is about."""
        self.expected.update(statuses)

    def sign_in(self, name: str, password: str = PASSWORD) -> Page:
        """Sign in on the page for it."""
        page = self("/ui/sign-in")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/ui/experiments")
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        refused = message.text.startswith(_REFUSED)
        if not refused or int(message.text.removeprefix(_REFUSED)[:3]) not in self.expected:
            self.faults.append(f"{message.type} at {message.location}: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc:
            self.faults.append(f"a request to {request.url}")


@pytest.fixture
def visitors(browser: Browser, server: Server) -> Iterator[Callable[..., Visitor]]:
    """``visitors(color_scheme="dark")``: somebody with a browser of their own."""
    opened: list[Visitor] = []

    def one(url: str = "", **options: Any) -> Visitor:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        context.set_default_timeout(30_000)
        opened.append(Visitor(context, url or server.url))
        return opened[-1]

    yield one
    faults = [fault for visitor in opened for fault in visitor.faults]
    for visitor in opened:
        visitor.context.close()
    assert faults == []


@pytest.fixture
def visit(visitors: Callable[..., Visitor]) -> Visitor:
    return visitors()


@pytest.fixture
def account(server: Server) -> str:
    return fresh(server)


@pytest.fixture
def signed_in(visit: Visitor, account: str) -> Visitor:
    visit.sign_in(account)
    return visit


def fresh(server: Server, *, admin: bool = False) -> str:
    """The name of a fresh account."""
    name = f"user-{secrets.token_hex(4)}"
    server.add_account(name, admin=admin)
    return name
