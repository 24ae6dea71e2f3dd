"""The code to copy into a web page, at work in one: a shop that calls the server from an origin of its own."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.conftest import Visitor
from tests.dashboard.test_editor import code_of, create, open_editor
from tests.servers import COUNTING, Server

ADVICE = {"advice_id": True, "delta_hours": 1, "default_reward": {"value": 0}}


class Shop:
    """A browser in a shop of two pages, on an origin of its own; the first has the code in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.code = ""
        self.said: list[str] = []
        self.calls: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("request", lambda request: self.calls.append(request.url.split("/")[3]))
        shop = self

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = f"<!doctype html><title>Shop</title><button>Buy</button>{shop.code if self.path == '/' else ''}"
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=UTF-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self.url = f"http://localhost:{self.server.server_port}/"
        Thread(target=self.server.serve_forever).start()

    def open(self, code: str) -> None:
        """Open it with this code in it, and wait until there is an action."""
        self.code = code
        with self.page.expect_console_message(lambda message: message.type == "log"):
            self.page.goto(self.url)

    def leave(self) -> None:
        """Go on to the second page."""
        self.page.goto(f"{self.url}next")


@pytest.fixture
def shop(browser: Browser) -> Iterator[Shop]:
    context = browser.new_context()
    shop = Shop(context.new_page())
    yield shop
    context.close()
    shop.server.shutdown()
    shop.server.server_close()


def snippet(visit: Visitor, exp: dict[str, Any], *, reward: str = '{"value": 3}') -> str:
    """The code for a web page, after a visit was tried."""
    page = open_editor(visit, exp["id"])
    page.get_by_label("Reward", exact=True).fill(reward)
    page.get_by_role("button", name="Get an action").click()
    page.wait_for_selector("#try:not([aria-busy])")
    return code_of(page, "JavaScript")


def rewards(visit: Visitor, exp: dict[str, Any]) -> list[dict[str, Any]]:
    """The reward log."""
    rows: list[dict[str, Any]] = visit.page.request.get(f"{visit.url}/stats/{exp['id']}/rewardlog").json()
    return rows


@pytest.mark.parametrize("options", [{}, ADVICE], ids=["context and action", "advice ids"])
def test_a_reward_is_reported_once_when_the_visitor_reacts(
    signed_in: Visitor, server: Server, shop: Shop, options: dict[str, Any]
) -> None:
    exp = create(signed_in, **COUNTING, **options)
    shop.open(snippet(signed_in, exp))
    assert len(shop.said) == 1
    assert rewards(signed_in, exp) == []  # opening the page is no reaction
    for _ in range(2):
        shop.page.get_by_role("button", name="Buy").click()
    shop.leave()
    server.wait_until(lambda: len(rewards(signed_in, exp)) > 0)
    assert [row["reward"] for row in rewards(signed_in, exp)] == [{"value": 3}]
    assert shop.calls.count("setreward") == 1


def test_whoever_leaves_without_reacting_is_reported_on_the_way_out(
    signed_in: Visitor, server: Server, shop: Shop
) -> None:
    exp = create(signed_in, **COUNTING)
    shop.open(snippet(signed_in, exp, reward='{"value": 3, "bought": true}'))
    shop.leave()
    server.wait_until(lambda: len(rewards(signed_in, exp)) > 0)
    assert [row["reward"] for row in rewards(signed_in, exp)] == [{"value": 0, "bought": False}]


def test_without_an_answer_the_fallback_is_shown_and_nothing_is_reported(signed_in: Visitor, shop: Shop) -> None:
    exp = create(signed_in, **COUNTING)
    code = snippet(signed_in, exp)
    broken = signed_in.page.request.put(
        f"{signed_in.url}/exp/{exp['id']}", data={"name": "Headlines", **COUNTING, "get_action": "1 / 0"}
    )
    assert broken.ok
    shop.open(code)
    shop.page.get_by_role("button", name="Buy").click()
    shop.leave()
    assert [call for call in shop.calls if call in ("getaction", "setreward")] == ["getaction", "getaction"]
    assert not any(text.startswith("error") for text in shop.said)
    assert rewards(signed_in, exp) == []


def test_the_code_has_no_await_outside_a_function(signed_in: Visitor) -> None:
    page = open_editor(signed_in, create(signed_in, **COUNTING)["id"])
    code = code_of(page, "JavaScript")
    inside = code.removeprefix('<script type="module">').removesuffix("</script>")
    assert inside != code
    # A classic script may not have one: the parser refuses it.
    page.evaluate("code => { new Function(code) }", inside)
    expect(page.locator(".snippet:not([hidden])").first).to_be_visible()
