"""The pictures of ``tour.rst``: ``python -m docs.screenshots``, in a clone with what the tests need.

A real server with a little made-up content is visited with a real browser, in light, in dark and on a narrow screen.
All pictures go to a temporary folder, whole pages and what a window shows; look at them. With ``--keep`` those that the
tour uses go to ``docs/pictures``.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.dashboard.conftest import Visitor, launched
from tests.servers import Experiment, Researcher, Server

PICTURES = Path(__file__).parent / "pictures"
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 375, "height": 760}},
}
KEPT = {
    "light": "first-steps sign-in experiments new editor try error revision delete account users help",
    "dark": "editor experiments",
    "narrow": "experiments try",
}
_COLOURS = 96
_POLICY = 'policy = greedy.EpsilonGreedy(self.get_theta(), ["green", "blue", "orange"], epsilon={})\n'
_CHOOSE = 'self.action["button"], self.action["propensity"] = policy.pull(self.context)\n'
_LEARN = 'policy.update(self.action["button"], self.reward["click"], self.context)\nself.set_theta(policy)\n'
_VISITOR = 'self.context["device"] = random.choice(["phone", "computer"])\n'
_CLICKS = (
    'chance = {"green": 0.12, "blue": 0.1, "orange": 0.3}[self.action["button"]]\n'
    'self.reward["click"] = int(random.random() < chance)\n'
)
_FAILS = 'self.action["page"] = "A" if self.context["age"] < 40 else "B"\n'
_VISIT = ("get_context", "get_action", "get_reward", "set_reward")
_RATES = {"green": 0.12, "blue": 0.1, "orange": 0.3}


def scripts(epsilon: float) -> dict[str, str]:
    """Which colour of a button is clicked most."""
    policy = _POLICY.format(epsilon)
    return {
        "get_context": _VISITOR,
        "get_action": policy + _CHOOSE,
        "get_reward": _CLICKS,
        "set_reward": policy + _LEARN,
    }


def fill(researcher: Researcher) -> Experiment:
    """Some experiments; the one that is looked at most closely."""
    buttons = researcher.create("Checkout button colour", **scripts(0.3))
    chance = random.Random(1)
    for _ in range(120):
        context = {"device": chance.choice(["phone", "computer"])}
        action = buttons.get_action(context=context).json()["action"]
        click = int(chance.random() < _RATES[action["button"]])
        buttons.set_reward(context=context, action=action, reward={"click": click})
    buttons.replace(name="Checkout button colour", note="Explore less: one visitor in ten", **scripts(0.1))
    buttons.replace(name="Checkout button colour", note="Keep theta by the hour", hourly_theta=True, **scripts(0.1))
    researcher.create("Subject of the newsletter")
    researcher.create("Headline by device", **scripts(0.2))
    silent = researcher.create("Price of the season ticket", **scripts(0.1))
    for _ in range(7):
        silent.get_action()
    failing = researcher.create("welcome page by age", **{**scripts(0.1), "get_action": _FAILS})
    for _ in range(3):
        failing.get_action(context={"device": "phone"})
    failing.wait_for("errors", 3)
    linear = researcher.http.get("/exp/defaults/20").json()
    researcher.create("Topic by age", **{name: linear[name] for name in _VISIT})
    return buttons


def strangers_tour(visit: Visitor) -> Iterator[str]:
    """What is seen before signing in."""
    visit("/ui/sign-in")
    yield "sign-in"
    visit("/ui/nothing", expect=404)
    yield "nothing"


def tour(visit: Visitor, exp_id: str) -> Iterator[str]:
    """Page after page, and its name."""
    home = "/ui/experiments"
    for name, path in {"experiments": home, "not-found": f"{home}?q=nowhere", "new": f"{home}/new"}.items():
        visit(path)
        yield name
    page = visit(f"{home}/{exp_id}")
    page.wait_for_selector("html[data-ready]")
    yield "editor"
    try_it(page)
    yield "try"
    visit.expect(400)
    mistake(page)
    yield "error"
    page = visit(f"{home}/{exp_id}/revisions/2")
    page.wait_for_selector(".monaco-diff-editor .line-insert")
    yield "revision"
    page = visit(home)
    page.get_by_role("button", name="Actions for Checkout button colour").click()
    yield "menu"
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Topic by age").click()
    page.wait_for_selector("html[data-ready]")
    page.get_by_label("Context", exact=True).fill('{"age": 0.5}')
    page.get_by_role("button", name="Apply reward (dry run)").click()
    page.locator("#try-theta table").wait_for()
    page.locator("#try-theta").scroll_into_view_if_needed()
    yield "theta"
    others = {
        "copy": f"{home}/new?from={exp_id}",
        "reset": f"{home}/{exp_id}/reset",
        "delete": f"{home}/{exp_id}/delete",
        "account": "/ui/account",
        "users": "/ui/users",
        "help": "/ui/help",
    }
    for name, path in others.items():
        visit(path)
        yield name


def try_it(page: Page) -> None:
    """One visit, rewarded."""
    page.get_by_label("Context", exact=True).fill('{"device": "phone"}')
    page.get_by_label("Reward", exact=True).fill('{"click": 1}')
    page.get_by_role("button", name="Apply reward (dry run)").click()
    page.locator("#try-theta table").wait_for()
    page.locator("#try").evaluate("section => section.scrollIntoView()")


def mistake(page: Page) -> None:
    """A parenthesis that nobody closed."""
    page.locator("#pane-get_reward .view-lines").click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("self.log_data({'seen': (chance}")
    page.locator("#faults-get_reward li").wait_for()
    page.locator("#pane-get_reward").evaluate("pane => pane.scrollIntoView({block: 'center'})")


def shoot(visit: Visitor, names: Iterator[str], look: str, folder: Path, *, keep: bool) -> None:
    """Pictures of each page; a fault in one of them ends it all."""
    for name in names:
        visit.page.wait_for_load_state("networkidle")
        seen = visit.page.screenshot(animations="disabled", caret="hide")
        visit.page.screenshot(path=folder / f"{name}-{look}-whole.png", full_page=True, animations="disabled")
        places = [folder, *([PICTURES] if keep and name in KEPT[look].split() else [])]
        for place in places:
            save(seen, place / f"{name}{'' if look == 'light' else f'-{look}'}.png")
        assert visit.faults == [], visit.faults


def save(picture: bytes, path: Path) -> None:
    """With few colours, which is plenty for pages and takes a third of the room."""
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(_COLOURS).save(path, optimize=True)


def visitor(browser: Browser, server: Server, look: str) -> Visitor:
    """Somebody with a browser of that look."""
    return Visitor(browser.new_context(**LOOKS[look]), server.url)


def main(*, keep: bool) -> None:
    """All pictures."""
    folder = Path(tempfile.mkdtemp(prefix="screenshots-"))
    print(folder)
    with Server(folder / "data", {}) as server, sync_playwright() as playwright:
        browser = launched(playwright)
        for look in LOOKS:
            newcomer = visitor(browser, server, look)
            newcomer("/ui/")
            shoot(newcomer, iter(["first-steps"]), look, folder, keep=keep)
            newcomer.context.close()
        for name in ("maria", "jonas", "li.wei"):
            server.add_account(name, admin=name == "maria")
        with Researcher(server.client(), "maria") as maria:
            buttons = fill(maria)
        for look in LOOKS:
            visit = visitor(browser, server, look)
            shoot(visit, strangers_tour(visit), look, folder, keep=keep)
            visit.sign_in("maria")
            shoot(visit, tour(visit, buttons.id), look, folder, keep=keep)
            visit.context.close()
        browser.close()


if __name__ == "__main__":
    main(keep="--keep" in sys.argv)
