"""Every page: beyond reproach for axe, no sideways scrolling at 375 pixels, in light and dark, by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.dashboard.conftest import Visitor, fresh
from tests.servers import COUNTING, PASSWORD, Researcher, Server

PAGES = {
    "list": "/ui/experiments",
    "nothing found": "/ui/experiments?q=nowhere",
    "new": "/ui/experiments/new",
    "editor": "/ui/experiments/{id}",
    "revision": "/ui/experiments/{id}/revisions/2",
    "delete": "/ui/experiments/{id}/delete",
    "reset": "/ui/experiments/{id}/reset",
    "copy": "/ui/experiments/new?from={id}",
    "account": "/ui/account",
    "users": "/ui/users",
    "help": "/ui/help",
}
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"color_scheme": "light", "viewport": {"width": 375, "height": 700}},
}


@pytest.fixture(scope="module")
def chief(server: Server) -> Iterator[Researcher]:
    """An administrator with some experiments, of which one has an endless name."""
    with Researcher(server.client(), fresh(server, admin=True)) as researcher:
        short = researcher.create("Short", **COUNTING)
        short.get_action()
        researcher.http.put(f"/exp/{short.id}", json=COUNTING | {"name": "Short", "get_context": ""})
        researcher.create("x" * 200, **COUNTING)
        yield researcher


def reproached(page: Page) -> list[str]:
    """What axe finds wrong, and whether the page is wider than its window."""
    page.wait_for_load_state("networkidle")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    found = Axe().run(page).response["violations"]
    faults = [f"{one['id']} ({one['impact']}): {[node['html'] for node in one['nodes']]}" for one in found]
    return [*faults, *(["it scrolls sideways"] if wide > 0 else [])]


def looked_at(visit: Visitor, chief: Researcher, pages: dict[str, str]) -> dict[str, list[str]]:
    """The faults of pages that have some."""
    (exp_id,) = [id for id, one in chief.http.get("/exp").json().items() if one["name"] == "Short"]
    visit.sign_in(chief.name)
    faults = {name: reproached(visit(path.format(id=exp_id))) for name, path in pages.items()}
    return {name: found for name, found in faults.items() if found}


def test_the_list_is_beyond_reproach_when_narrow(visitors: Callable[..., Visitor], chief: Researcher) -> None:
    assert looked_at(visitors(**LOOKS["narrow"]), chief, {"list": PAGES["list"]}) == {}


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_beyond_reproach(visitors: Callable[..., Visitor], chief: Researcher, look: str) -> None:
    visit = visitors(**LOOKS[look])
    stranger = visitors(**LOOKS[look])
    assert looked_at(visit, chief, PAGES) == {}
    assert reproached(stranger("/ui/sign-in")) == []
    assert reproached(stranger("/ui/nothing", expect=404)) == []


@pytest.mark.slow
def test_the_reader_chooses_between_light_and_dark_and_it_stays(visitors: Callable[..., Visitor]) -> None:
    visit = visitors(color_scheme="light")
    page = visit("/ui/help")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.get_by_role("button", name="Theme:")
    button.click()
    assert button.inner_text() == "Theme: light"
    button.click()
    assert button.inner_text() == "Theme: dark"
    dark = page.evaluate(ground)
    assert dark != light
    assert visit("/ui/sign-in").evaluate(ground) == dark
    button.click()
    assert button.inner_text() == "Theme: as the system"
    assert page.evaluate(ground) == light


def test_everything_can_be_done_with_the_keyboard(visit: Visitor, account: str) -> None:
    page = visit("/ui/sign-in")

    def tab_to(name: str) -> None:
        """Tab until the focus is on it, and see that it shows."""
        focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
        for _ in range(80):
            page.keyboard.press("Tab")
            if (page.evaluate(focused) or "").strip() == name:
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        raise AssertionError(f"no way to {name!r} with Tab")

    assert page.evaluate("document.activeElement.id") == "username"
    page.keyboard.type(account)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/experiments")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to("Create an experiment")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/experiments/new")
    page.wait_for_function("document.activeElement.id === 'name'")
    page.keyboard.type("By keyboard")
    assert page.locator("#name").input_value() == "By keyboard"
    page.keyboard.press("Tab")
    page.keyboard.type("greedy")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: not url.endswith("new"))
    visit("/ui/experiments")
    tab_to("Actions for By keyboard")
    page.keyboard.press("Enter")
    tab_to("Delete")
    page.keyboard.press("Enter")
    page.wait_for_url("**/delete")
    page.wait_for_function("document.activeElement.id === 'typed'")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your first experiment").wait_for()
