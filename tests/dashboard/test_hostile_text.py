"""Text that would be markup or a script is shown as text wherever it appears, on pages under their full policy."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Visitor, fresh
from tests.dashboard.test_assets import POLICY
from tests.servers import PASSWORD, Server

HOSTILE = '</script></textarea></pre></title><img src=x onerror="window.harmed=1"><b class=harm>{{1}}</b>\''
# The last line is where get_action fails; it ends with a comment, as the source of the line is shown too.
SCRIPTS = {
    "get_context": f"self.context['who'] = {HOSTILE!r}",
    "get_action": f"self.action['arm'] = {HOSTILE!r}\nself.log_data({{'x': {HOSTILE!r}}})\nself.debug({HOSTILE!r})",
    "get_reward": f"self.reward['value'] = {HOSTILE!r}",
    "set_reward": f"self.set_theta({{{HOSTILE!r}: {HOSTILE!r}}}, {HOSTILE!r}, {HOSTILE!r})",
}


@pytest.fixture
def exp_id(signed_in: Visitor) -> str:
    """An experiment that is hostile all over, with two revisions."""
    request = signed_in.page.request
    body = {
        "name": f"{HOSTILE} {secrets.token_hex(4)}",
        **SCRIPTS,
        "advice_id": True,
        "delta_hours": 1,
        "default_reward": {HOSTILE: HOSTILE},
        "note": HOSTILE,
    }
    made: str = request.post(f"{signed_in.url}/exp", data=body).json()["id"]
    changed = body | {"default_reward": {HOSTILE: [HOSTILE]}, "get_context": SCRIPTS["get_context"] + f"  # {HOSTILE}"}
    assert request.put(f"{signed_in.url}/exp/{made}", data=changed).ok
    return made


def harmless(page: Page) -> None:
    """Nothing of it became an element or was run; it is there as text."""
    assert page.locator("img[src='x'], b.harm").count() == 0
    assert page.evaluate("window.harmed") is None
    assert "onerror=" in page.inner_text("body", timeout=30_000) + page.locator("input, textarea").evaluate_all(
        "fields => fields.map(field => field.value).join()"
    )


def test_on_the_list_and_in_its_search(signed_in: Visitor, exp_id: str) -> None:
    harmless(signed_in("/ui/experiments"))
    harmless(signed_in(f"/ui/experiments?q={quote(HOSTILE)}"))
    harmless(signed_in(f"/ui/experiments?q={quote('nothing is called ' + HOSTILE)}"))


@pytest.mark.slow
def test_on_the_page_to_delete_it(signed_in: Visitor, exp_id: str) -> None:
    harmless(signed_in(f"/ui/experiments/{exp_id}/delete"))


@pytest.mark.slow
def test_in_a_trial_and_in_the_code_to_copy(signed_in: Visitor, exp_id: str) -> None:
    page = signed_in(f"/ui/experiments/{exp_id}")
    page.wait_for_selector("html[data-ready]")
    page.get_by_label("Context", exact=True).fill(json.dumps({HOSTILE: HOSTILE}))
    page.get_by_label("Reward", exact=True).fill(json.dumps({HOSTILE: HOSTILE}))
    page.get_by_role("button", name="Apply reward (dry run)").click()
    expect(page.locator("#try-theta tbody th").first).to_contain_text("onerror")
    harmless(page)
    for snippet in page.locator(".snippet:not([hidden])").all():
        if snippet.get_attribute("open") is None:
            snippet.locator("summary").click()
        expect(snippet.locator("code")).to_contain_text("onerror")
    harmless(page)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", [f"raise ValueError({HOSTILE!r})  # {HOSTILE}", f"1 / 0  # {HOSTILE}", f"x = ({HOSTILE}"]
)
def test_in_what_is_wrong_with_a_script(signed_in: Visitor, exp_id: str, line: str) -> None:
    page = signed_in(f"/ui/experiments/{exp_id}")
    page.wait_for_selector("html[data-ready]")
    signed_in.expect(400)
    page.locator("#pane-get_action .monaco-editor .view-lines").click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text(f"\n{line}")
    page.get_by_role("button", name="Get an action").click()
    expect(page.locator("#try-failed")).to_be_visible()
    harmless(page)


@pytest.mark.slow
def test_between_revisions(signed_in: Visitor, exp_id: str) -> None:
    page = signed_in(f"/ui/experiments/{exp_id}/revisions/2")
    page.wait_for_selector(".monaco-diff-editor")
    page.locator("main details").evaluate_all("all => all.forEach(each => each.open = true)")
    harmless(page)
    harmless(signed_in(f"/ui/experiments/{exp_id}/revisions/1"))


@pytest.mark.slow
def test_before_one_is_known(visit: Visitor) -> None:
    page = visit(f"/ui/sign-in?next={quote('/ui/' + HOSTILE)}")
    page.get_by_label("User name").fill(HOSTILE)
    page.get_by_label("Password", exact=True).fill("no such password")
    visit.expect(401)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    harmless(page)
    page = visit(f"/ui/{quote(HOSTILE)}", expect=404)
    assert page.locator("img[src='x'], b.harm").count() == 0


def test_every_page_has_the_whole_policy(visitors: Callable[..., Visitor], server: Server) -> None:
    """Those of errors too, whoever asks and however."""
    owner, stranger = fresh(server, admin=True), fresh(server)
    home = "/ui/experiments"
    with server.client() as client, server.client() as other:
        for one, name in ((client, owner), (other, stranger)):
            assert one.post("/login", json={"username": name, "password": PASSWORD}).is_success
        exp_id = client.post("/exp", json={"name": "A page", **SCRIPTS}).json()["id"]
        asked = [
            *(client.get(path) for path in (home, f"{home}/new", "/ui/account", "/ui/users", "/ui/help")),
            *(client.get(f"{home}/{exp_id}{more}") for more in ("", "/delete", "/revisions/1")),
            client.get("/ui/nothing"),
            client.get(f"{home}/{exp_id}/revisions/99"),
            client.delete("/ui/help"),
            client.post("/ui/sign-in", data={"name": owner}),
            httpx.get(server.url + "/ui/sign-in"),
            other.get(f"{home}/{exp_id}"),
            other.get("/ui/users"),
            httpx.get(server.url + home),
        ]
        statuses = [answer.status_code for answer in asked]
        assert statuses[:8] == [200] * 8
        assert all(status in (200, 302, 403, 404, 405) for status in statuses[8:]), statuses
        for answer in asked:
            assert answer.headers["Content-Security-Policy"].startswith(POLICY + ";"), answer.url
