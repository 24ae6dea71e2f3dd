"""The page on which experiments are written: checking, saving, trying, comparing, restoring, connecting."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Visitor, fresh
from tests.servers import COUNTING, Server

expect.set_options(timeout=30_000)
HOSTILE = "</script></textarea></pre><img src=x onerror='document.title=1'>&lt;b&gt;\"'"


def create(visit: Visitor, **properties: Any) -> dict[str, Any]:
    """An experiment of whoever is signed in there: its id and key."""
    answer = visit.page.request.post(f"{visit.url}/exp", data={"name": "Headlines", **properties})
    assert answer.ok, answer.text()
    row: dict[str, Any] = answer.json()
    return row


def open_editor(visit: Visitor, exp_id: str) -> Page:
    """The page of an experiment, with all of its scripts at work."""
    page = visit(f"/ui/experiments/{exp_id}")
    page.wait_for_selector("html[data-ready]")
    return page


def write(page: Page, script: str, text: str, *, keys: str = "Control+End") -> None:
    """Type into a pane, after pressing ``keys``."""
    page.locator(f"#pane-{script} .monaco-editor .view-lines").click()
    page.keyboard.press(keys)
    page.keyboard.insert_text(text)


def saved(visit: Visitor, exp_id: str) -> dict[str, Any]:
    """The experiment as the server has it."""
    row: dict[str, Any] = visit.page.request.get(f"{visit.url}/exp/{exp_id}").json()
    return row


def save(page: Page, revision: int, note: str = "") -> None:
    """Save with a note, from the keyboard."""
    page.get_by_label("Note on this change").fill(note)
    page.keyboard.press("Control+s")
    expect(page.locator("#announcement")).to_have_text(f"Saved as revision {revision}")


def test_an_experiment_is_written_mended_saved_tried_compared_and_restored(signed_in: Visitor) -> None:
    exp_id = create(signed_in)["id"]
    page = open_editor(signed_in, exp_id)

    # Load a template.
    page.get_by_label("Template").select_option("3")
    expect(page.locator("#default-summary")).to_contain_text("Nine visitors in ten")
    page.get_by_role("button", name="Load template").click()
    expect(page.locator("#pane-get_action .view-lines")).to_contain_text("self.action")
    expect(page.locator("#save-state")).to_have_text("There are unsaved changes")

    # A syntax error is seen at its line, as text and in the editor; it leads there, and cannot be saved.
    lines = page.locator("#get_action").input_value().count("\n") + 1
    write(page, "get_action", "\nx = (1")
    problem = page.get_by_role("list", name="Problems in get_action").get_by_role("listitem")
    expect(problem).to_contain_text("'(' was never closed")
    expect(problem.get_by_role("button")).to_have_text(f"Line {lines + 1}, column 5")
    expect(page.locator("#pane-get_action .squiggly-error")).to_be_visible()
    signed_in.expect(400)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#save-errors")).to_contain_text(f"In get_action, line {lines + 1}")
    problem.get_by_role("button").click()
    expect(page.locator("#pane-get_action .monaco-editor")).to_have_class(re.compile("focused"))

    # Mended and saved.
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text("y = 1")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text("z = 1")
    expect(problem).to_have_count(0)
    expect(page.locator("#save-errors")).to_be_hidden()
    save(page, 2, "as it comes")
    expect(page.locator("#save-state")).to_have_text("All changes are saved")
    assert saved(signed_in, exp_id)["get_action"].endswith("z = 1")

    # Tried: context, action, reward, theta; and nothing remains of it.
    page.get_by_label("Context", exact=True).fill('{"age": 7}')
    page.get_by_role("button", name="Get an action").click()
    expect(page.locator("#try-action")).to_contain_text("propensity")
    page.get_by_role("button", name="Simulate reward").click()
    expect(page.get_by_label("Reward", exact=True)).to_have_value(re.compile(r'\{"value":[01]\}'))
    page.get_by_role("button", name="Apply reward (dry run)").click()
    table = page.get_by_role("table", name="What would change in theta")
    expect(table.get_by_role("row")).to_have_count(3)
    expect(table).to_contain_text("arm:")
    assert page.request.get(f"{signed_in.url}/stats/{exp_id}/currenttheta").json() == {}

    # Edited: the difference is shown before and after it is saved.
    write(page, "set_reward", "# </script>\n", keys="Control+Home")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("dialog").locator("ins")).to_have_text(re.compile("# </script>"))
    page.get_by_role("button", name="Close").click()
    save(page, 3, "a remark")
    page.get_by_role("link", name="Revision 3").click()
    page.wait_for_selector(".monaco-diff-editor .line-insert")
    page.get_by_text("As text").click()
    expect(page.locator(".difference ins")).to_have_text(re.compile("added: \\+# </script>"))
    expect(page.locator(".difference del")).to_have_count(0)

    # Restored.
    signed_in(f"/ui/experiments/{exp_id}/revisions/1")
    page.get_by_role("button", name="Restore this revision").click()
    page.wait_for_url(f"**/ui/experiments/{exp_id}")
    expect(page.locator("#announcement")).to_contain_text("Revision 1 is back")
    expect(page.locator("#standing")).to_contain_text("Revision 4")
    assert saved(signed_in, exp_id)["get_action"] == ""


@pytest.mark.slow
def test_without_the_code_editor_plain_fields_do_the_same(signed_in: Visitor) -> None:
    signed_in.expect(404)
    signed_in.context.route("**/vs/loader.js", lambda route: route.fulfill(status=404))
    exp_id = create(signed_in, **COUNTING)["id"]
    page = open_editor(signed_in, exp_id)
    field = page.get_by_role("textbox", name="set_reward")
    field.fill("x = 1\ny = (")
    problem = page.get_by_role("list", name="Problems in set_reward").get_by_role("button")
    expect(problem).to_have_text("Line 2, column 5")
    expect(field).to_have_attribute("aria-invalid", "true")
    problem.click()
    assert field.evaluate("field => [document.activeElement === field, field.selectionStart]") == [True, 10]
    field.fill("self.set_theta({'n': 1})")
    save(page, 2)
    assert saved(signed_in, exp_id)["set_reward"] == "self.set_theta({'n': 1})"
    page.get_by_label("Template").select_option("0")
    page.get_by_role("button", name="Load template").click()
    page.get_by_role("dialog").get_by_role("button", name="Load template").click()
    expect(field).to_have_value(re.compile("Proportion|Count|Mean"))
    save(page, 3, "AB")
    page.get_by_role("link", name="Revision 3").click()
    expect(page.locator(".difference").first).to_be_visible()
    expect(page.locator(".difference ins").first).to_be_visible()


@pytest.mark.slow
def test_whoever_prefers_plain_fields_keeps_them(signed_in: Visitor) -> None:
    exp_id = create(signed_in, **COUNTING)["id"]
    page = open_editor(signed_in, exp_id)
    page.get_by_role("button", name="Use plain text fields").click()
    page.wait_for_load_state()
    page = open_editor(signed_in, exp_id)
    expect(page.get_by_role("textbox", name="get_action")).to_be_visible()
    expect(page.locator(".monaco-editor")).to_have_count(0)
    page.get_by_role("button", name="Use the code editor").click()
    page.wait_for_selector("#pane-get_action .monaco-editor")


@pytest.mark.slow
def test_the_keyboard_is_enough(signed_in: Visitor) -> None:
    """From the top of the page to a saved, tried experiment without a mouse; no element traps the focus."""
    exp_id = create(signed_in)["id"]
    page = open_editor(signed_in, exp_id)

    def tab_to(selector: str, most: int = 120) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab does not lead to {selector}")

    tab_to("#default")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    tab_to("#fill")
    page.keyboard.press("Enter")
    expect(page.locator("#announcement")).to_contain_text("E-Greedy is loaded")
    inside = ".monaco-editor :is(textarea, .native-edit-context)"
    tab_to(f"#pane-get_context {inside}")
    page.keyboard.press("Control+m")
    tab_to(f"#pane-get_action {inside}")
    page.keyboard.press("Control+m")
    page.keyboard.press("Control+End")
    page.keyboard.type("# typed\n")
    page.keyboard.press("Tab")
    assert "# typed\n    " in page.locator("#get_action").input_value()
    page.keyboard.press("Control+z")
    page.keyboard.type("self.")
    expect(page.locator(".suggest-widget.visible")).to_contain_text("get_theta")
    page.keyboard.type("deb")
    page.keyboard.press("Enter")
    page.keyboard.type("1")
    assert "\nself.debug(1)" in page.locator("#get_action").input_value()
    page.keyboard.press("Control+m")
    tab_to("#try-get_action")
    page.keyboard.press("Enter")
    expect(page.locator("#try-action")).to_contain_text("propensity")
    tab_to("#try-set_reward")
    page.keyboard.press("Space")
    expect(page.get_by_role("table", name="What would change in theta")).to_be_visible()
    tab_to("#advice_id")
    page.keyboard.press("Space")
    tab_to("#delta_hours")
    page.keyboard.press("Control+a")
    page.keyboard.type("1.5")
    tab_to("#note")
    page.keyboard.type("by keyboard")
    tab_to("#save")
    page.keyboard.press("Enter")
    expect(page.locator("#announcement")).to_have_text("Saved as revision 2")
    row = saved(signed_in, exp_id)
    assert (row["advice_id"], row["delta_hours"], "# typed" in row["get_action"]) == (True, 1.5, True)


@pytest.mark.slow
def test_a_narrow_screen_shows_everything(visitors: Callable[..., Visitor], account: str) -> None:
    visit = visitors(viewport={"width": 375, "height": 700}, has_touch=True)
    visit.sign_in(account)
    exp_id = create(visit, **COUNTING)["id"]
    for path in ("", "/revisions/1"):
        page = visit(f"/ui/experiments/{exp_id}{path}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page = open_editor(visit, exp_id)
    page.get_by_role("button", name="Apply reward (dry run)").click()
    table = page.get_by_role("table", name="What would change in theta")
    expect(table).to_be_visible()
    write(page, "get_context", "# x\n", keys="Control+Home")
    save(page, 2, "a note of some words")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    note = page.locator("#revision-list .note").first.bounding_box()
    assert note is not None
    assert note["height"] < 40  # in a line of its own
    page.locator("#try .term", has_text="propensity").click()
    explained = page.locator(".explanation:popover-open").bounding_box()
    assert explained is not None
    assert explained["width"] > 250  # not squeezed in beside the edge


@pytest.mark.slow
def test_rewards_are_tried_one_by_one_for_the_action_above_them(signed_in: Visitor) -> None:
    page = open_editor(signed_in, create(signed_in, **COUNTING)["id"])
    give, action = page.get_by_role("button", name="Apply reward (dry run)"), page.locator("#try-action")
    give.click()
    table = page.get_by_role("table", name="What would change in theta")
    expect(table.locator(".new")).to_have_text("1")
    chosen = action.text_content() or ""
    give.click()
    page.wait_for_selector("#try:not([aria-busy])")
    expect(table.locator(".new")).to_have_text("1")
    # A reward that fails takes the theta of the one before it away, and leaves the action.
    write(page, "set_reward", "1 / 0\n", keys="Control+Home")
    give.click()
    expect(page.locator("#try-failed")).to_contain_text("ZeroDivisionError")
    expect(table).to_have_count(0)
    expect(page.locator("#try-theta")).to_contain_text("Nothing was learned")
    expect(action).to_have_text(chosen)
    write(page, "get_action", "\nself.action['propensity'] = 2")
    page.get_by_role("button", name="Get an action").click()
    expect(page.locator("#try-failed")).to_contain_text("propensity")
    expect(action).to_have_text("No action.")


@pytest.mark.slow
def test_what_somebody_else_saved_is_not_overwritten_unseen(signed_in: Visitor) -> None:
    exp_id = create(signed_in, **COUNTING)["id"]
    page = open_editor(signed_in, exp_id)
    row = saved(signed_in, exp_id)
    page.request.put(f"{signed_in.url}/exp/{exp_id}", data={**row, "get_context": "# theirs"})
    signed_in.expect(412)
    write(page, "get_context", "# mine\n", keys="Control+Home")
    page.keyboard.press("Control+s")
    conflict = page.locator("#conflict")
    expect(conflict).to_contain_text("You, in another window, saved revision 2 meanwhile (changed: get_context)")
    assert saved(signed_in, exp_id)["get_context"] == "# theirs"
    with signed_in.context.expect_page() as opened:
        conflict.get_by_role("link").click()
    expect(opened.value.locator(".difference ins").first).to_contain_text("# theirs")
    opened.value.close()
    conflict.get_by_role("button", name="Overwrite with my version").click()
    question = page.get_by_role("dialog", name="Overwrite revision 2?")
    expect(question).to_contain_text("What was changed there (get_context) is replaced")
    question.get_by_role("button", name="Cancel").click()
    assert saved(signed_in, exp_id)["get_context"] == "# theirs"
    conflict.get_by_role("button", name="Overwrite with my version").click()
    question.get_by_role("button", name="Overwrite").click()
    expect(page.locator("#announcement")).to_have_text("Saved as revision 3")
    expect(conflict).to_be_hidden()
    assert saved(signed_in, exp_id)["get_context"].startswith("# mine")


@pytest.mark.slow
def test_nobody_leaves_with_unsaved_changes_unwarned(signed_in: Visitor) -> None:
    exp_id = create(signed_in, **COUNTING)["id"]
    page = open_editor(signed_in, exp_id)
    questions: list[str] = []
    page.on("dialog", lambda dialog: (questions.append(dialog.type), dialog.dismiss()))
    page.get_by_label("Name").fill("Another name")
    page.get_by_role("link", name="Experiments").first.click()
    page.wait_for_timeout(0)
    assert page.url.endswith(exp_id)
    assert questions == ["beforeunload"]
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Another name")
    page.get_by_role("link", name="Experiments").first.click()
    page.wait_for_url("**/ui/experiments")
    assert questions == ["beforeunload"]


@pytest.mark.slow
def test_an_option_that_is_wrong_is_told_beside_its_field(signed_in: Visitor) -> None:
    exp_id = create(signed_in, **COUNTING)["id"]
    create(signed_in, name="Taken")
    page = open_editor(signed_in, exp_id)
    signed_in.expect(400)
    page.get_by_label("Give advice ids").check()
    for label, wrong, right in (
        ("Default reward", "{", '{"value": 0}'),
        ("Reward window (hours)", "100000", "24"),
        ("Name", "Taken", "Free"),
    ):
        field = page.get_by_label(label)
        field.fill(wrong)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#save-errors")).to_contain_text(f"{label}: ")
        expect(field).to_be_focused()
        expect(field).to_have_attribute("aria-invalid", "true")
        field.fill(right)
        expect(page.locator("#save-errors")).to_be_hidden()
        expect(field).not_to_have_attribute("aria-invalid", "true")
    save(page, 2)
    row = saved(signed_in, exp_id)
    assert (row["name"], row["delta_hours"], json.loads(row["default_reward"])) == ("Free", 24, {"value": 0})


@pytest.mark.slow
def test_hostile_text_is_shown_as_text(signed_in: Visitor) -> None:
    exp_id = create(
        signed_in,
        name=HOSTILE,
        get_context=f"# {HOSTILE}",
        get_action=f"self.action['arm'] = {HOSTILE!r}\nself.debug({HOSTILE!r})\nself.log_data({{'x': {HOSTILE!r}}})",
        set_reward=f"self.set_theta({{{HOSTILE!r}: 1}}, {HOSTILE!r}, {HOSTILE!r})",
        advice_id=True,
        delta_hours=1,
        default_reward={HOSTILE: HOSTILE},
    )["id"]
    page = open_editor(signed_in, exp_id)
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page).to_have_title(f"{HOSTILE} · Thetaloop")
    assert page.locator("#get_context").input_value() == f"# {HOSTILE}"
    assert json.loads(page.locator("#default_reward").input_value()) == {HOSTILE: HOSTILE}
    page.get_by_label("Context", exact=True).fill(json.dumps({HOSTILE: HOSTILE}))
    page.get_by_role("button", name="Apply reward (dry run)").click()
    expect(page.locator("#try-theta td.new")).to_have_text("1")
    expect(page.locator("#try-theta tbody th")).to_contain_text(HOSTILE)
    expect(page.locator("#try-action pre")).to_contain_text("</script>")
    for title in ("Would be logged (1)", "Shown by self.debug (1)"):
        page.get_by_text(title).click()
    expect(page.locator("#try-shown pre").first).to_contain_text("</script>")
    write(page, "set_reward", f"\nraise ValueError({HOSTILE!r})  # {HOSTILE}")
    page.get_by_role("button", name="Apply reward (dry run)").click()
    expect(page.locator("#try-failed")).to_contain_text(f"ValueError: {HOSTILE}")
    save(page, 2, HOSTILE)
    expect(page.locator("#revision-list .note").first).to_have_text(HOSTILE)
    write(page, "get_context", f"\n# {HOSTILE} {HOSTILE}")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("dialog").locator("ins")).to_contain_text("onerror")
    page.get_by_role("button", name="Close").click()
    save(page, 3)
    page.reload()
    expect(page.locator("#revision-list .note").nth(1)).to_have_text(HOSTILE)
    page.get_by_role("link", name="Revision 2").click()
    page.wait_for_selector(".monaco-diff-editor")
    expect(page.get_by_text(f"“{HOSTILE}”")).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.title() == f"Revision 2 of {HOSTILE} · Thetaloop"


@pytest.mark.parametrize("advice", [True, False])
@pytest.mark.slow
def test_the_code_to_copy_works(signed_in: Visitor, advice: bool) -> None:
    """curl's and Python's ask for an action and reward it, once; with the context and reward that were tried."""
    options = {"advice_id": True, "delta_hours": 0, "default_reward": {}} if advice else {}
    exp = create(
        signed_in, **COUNTING | {"get_action": COUNTING["get_action"] + "\nassert self.context['it\\'s']"}, **options
    )
    page = open_editor(signed_in, exp["id"])
    page.get_by_label("Context", exact=True).fill('{"it\'s": [true, null, 0.5]}')
    page.get_by_label("Reward", exact=True).fill('{"value": 3, "bought": false}')
    page.get_by_role("button", name="Get an action").click()
    expect(page.locator("#try-action")).to_contain_text("propensity")
    python = run([sys.executable, "-c", code_of(page, "Python")])
    assert "arm" in python
    ask, tell = code_of(page, "curl").split("\n\n")
    answer = json.loads(run(["bash", "-c", ask]))
    if advice:
        tell = tell.replace("ADVICE_ID", answer["advice_id"], 2).replace(
            f"place of {answer['advice_id']}", "place of it"
        )
    assert json.loads(run(["bash", "-c", tell])) == {"status": "success"}
    rows = page.request.get(f"{signed_in.url}/stats/{exp['id']}/rewardlog").json()
    assert [row["reward"] for row in rows] == [{"value": 3, "bought": False}] * 2
    assert [row["context"] for row in rows] == [{"it's": [True, None, 0.5]}] * 2
    assert ["advice_id" in row for row in rows] == [advice] * 2


def code_of(page: Page, language: str) -> str:
    """The code to copy in that language."""
    snippet = page.locator(f'.snippet[data-language="{language}"]:not([hidden])')
    if snippet.get_attribute("open") is None:
        snippet.locator("summary").click()
    return snippet.locator("code").inner_text()


def run(command: list[str]) -> str:
    """What a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_users_experiment_has_no_page(signed_in: Visitor, server: Server) -> None:
    exp_id = create(signed_in, **COUNTING)["id"]
    signed_in.context.clear_cookies()
    signed_in.sign_in(fresh(server))
    for path in ("", "/revisions/1"):
        page = signed_in(f"/ui/experiments/{exp_id}{path}", expect=404)
        expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
