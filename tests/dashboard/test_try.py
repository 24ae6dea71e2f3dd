"""Trying an experiment: what is shown belongs to what was asked, can be read, and leads to what is wrong."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Visitor
from tests.dashboard.test_editor import create, open_editor, write
from tests.servers import COUNTING

ECHO = COUNTING | {"get_action": "self.action['seen'] = self.context['age']\nself.action['propensity'] = 0.5"}
NUMBERS = "/ui/assets/000000000000/numbers.js"


def decide(page: Page) -> None:
    """Press the button, and wait for the answer."""
    page.get_by_role("button", name="Get an action").click()
    page.wait_for_selector("#try:not([aria-busy])")


def test_a_context_that_is_no_json_object_takes_the_old_action_away(signed_in: Visitor) -> None:
    page = open_editor(signed_in, create(signed_in, **ECHO)["id"])
    context, action, failed = (
        page.get_by_label("Context", exact=True),
        page.locator("#try-action"),
        page.locator("#try-failed"),
    )
    for wrong in ('{"age": 8', "[8]", "8", "null", ""):
        context.fill('{"age": 7}')
        decide(page)
        expect(action).to_contain_text('"seen": 7')
        expect(context).not_to_have_attribute("aria-invalid", "true")
        context.fill(wrong)
        decide(page)
        expect(failed).to_contain_text("Context: expected a JSON object")
        expect(action).to_have_text("No action.")
        expect(context).to_have_attribute("aria-invalid", "true")
        expect(context).to_be_focused()
    # A script that fails gives no action either.
    context.fill('{"age": 7}')
    decide(page)
    context.fill("{}")
    decide(page)
    expect(failed).to_contain_text("KeyError: 'age'")
    expect(action).to_have_text("No action.")


def test_a_reward_that_is_no_json_object_takes_the_old_theta_away(signed_in: Visitor) -> None:
    page = open_editor(signed_in, create(signed_in, **COUNTING)["id"])
    give = page.get_by_role("button", name="Apply reward (dry run)")
    give.click()
    expect(page.get_by_role("table", name="What would change in theta")).to_be_visible()
    page.get_by_label("Reward", exact=True).fill("1")
    give.click()
    expect(page.locator("#try-failed")).to_contain_text("Reward: expected a JSON object")
    expect(page.get_by_role("table", name="What would change in theta")).to_have_count(0)
    expect(page.locator("#try-action")).to_contain_text("propensity")


def test_a_line_that_fails_in_a_trial_is_underlined_until_it_is_changed(signed_in: Visitor) -> None:
    page = open_editor(signed_in, create(signed_in, **ECHO)["id"])
    problems = page.get_by_role("list", name="Problems in get_action").get_by_role("listitem")
    underlined = page.locator("#pane-get_action .squiggly-error")
    expect(underlined).to_have_count(0)
    decide(page)
    expect(problems).to_have_text("Line 1 in this trial: KeyError: 'age'")
    expect(underlined.first).to_be_visible()
    # The check while typing in another script leaves it there.
    with page.expect_response("**/exp/check"):
        write(page, "get_reward", "\n# typed")
    expect(problems).to_have_count(1)
    write(page, "get_action", "self.context.setdefault('age', 9)\n", keys="Control+Home")
    expect(problems).to_have_count(0)
    expect(underlined).to_have_count(0)
    decide(page)
    expect(page.locator("#try-action")).to_contain_text('"seen": 9')
    expect(problems).to_have_count(0)


def test_only_certainty_reads_100_per_cent(visit: Visitor) -> None:
    read = {
        0: "0 %",
        1: "100 %",
        0.5: "50 %",
        1 / 3: "33.3 %",
        0.9333: "93.3 %",
        0.9999: "99.99 %",
        0.99996: "99.996 %",
        0.0001: "0.01 %",
        1e-7: "0.00001 %",
        1 - 1e-9: "99.9999999 %",
        1e-300: "nearly 0 %",
        1 - 2**-53: "nearly 100 %",
    }
    module = f"async (shares) => shares.map((await import('{NUMBERS}')).percent)"
    assert visit("/ui/help").evaluate(module, list(read)) == list(read.values())


def test_a_propensity_near_one_is_not_rounded_to_it(signed_in: Visitor) -> None:
    action = "self.action['arm'] = 'a'\nself.action['propensity'] = 0.9999"
    page = open_editor(signed_in, create(signed_in, **COUNTING | {"get_action": action})["id"])
    decide(page)
    expect(page.locator("#try-action")).to_contain_text("propensity 0.9999 (99.99 %)")


def test_matrices_and_long_arrays_are_folded_and_can_be_read(signed_in: Visitor) -> None:
    learn = (
        "self.set_theta({'covariance': [[1.0, 1 / 3], [-10.25, 2e-7]], 'weights': [i / 7 for i in range(50)],\n"
        "  'mean': 2 / 3, 'arms': {'a': {'n': 1}, 'b': {'n': 2}}, 'long': [[1.5] * 9] * 9})"
    )
    page = open_editor(signed_in, create(signed_in, **COUNTING | {"set_reward": learn})["id"])
    page.get_by_role("button", name="Apply reward (dry run)").click()
    table = page.get_by_role("table", name="What would change in theta")
    expect(table).to_be_visible()
    rows = {row.locator("th").inner_text(): row.locator("td.new") for row in table.locator("tbody tr").all()}
    assert list(rows) == ["covariance", "weights", "mean", "arms · a · n", "arms · b · n", "long"]
    assert rows["covariance"].locator("pre").inner_text() == "     1  0.33333\n-10.25     2e-7"
    assert rows["mean"].inner_text() == "0.66667"
    assert rows["weights"].inner_text() == "50 numbers from 0 to 7"
    assert rows["long"].inner_text() == "9 \N{MULTIPLICATION SIGN} 9 matrix"
    rows["long"].locator("summary").click()
    assert rows["long"].locator("pre").inner_text().count("1.5") == 81
    page.get_by_text("All of theta after it").click()
    expect(page.locator("#try-theta > details > dl > dt")).to_have_count(5)


def test_what_a_script_prints_is_shown(signed_in: Visitor) -> None:
    prints = COUNTING["get_action"] + "\nprint('age', 7)\nprint('<b>done</b>')"
    page = open_editor(signed_in, create(signed_in, **COUNTING | {"get_action": prints})["id"])
    decide(page)
    expect(page.locator("#try-shown pre")).to_have_text("age 7\n<b>done</b>\n")


@pytest.mark.parametrize("height", [800, 620])
def test_the_save_bar_covers_nothing_of_a_trial(signed_in: Visitor, height: int) -> None:
    signed_in.page.set_viewport_size({"width": 1280, "height": height})
    page = open_editor(signed_in, create(signed_in, **COUNTING)["id"])
    bottoms = "[document.querySelector('#try'), document.querySelector('.save-bar')]"
    gap = f"(([panel, bar]) => bar.getBoundingClientRect().top - panel.getBoundingClientRect().bottom)({bottoms})"
    button = page.get_by_role("button", name="Apply reward (dry run)")
    assert page.evaluate(gap) > 0
    if height == 800:
        centre = button.evaluate(
            "one => { const box = one.getBoundingClientRect();"
            " return one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)) }"
        )
        assert centre  # in sight without scrolling
    button.click()
    expect(page.get_by_role("table", name="What would change in theta")).to_be_visible()
    assert page.evaluate(gap) > 0
    page.mouse.wheel(0, 300)
    page.wait_for_function("() => scrollY > 0")
    page.wait_for_function(f"() => {gap} > 0")


@pytest.mark.slow
def test_the_editor_completes_the_library(signed_in: Visitor) -> None:
    page = open_editor(signed_in, create(signed_in)["id"])
    field, proposed = page.locator("#get_action"), page.locator(".suggest-widget.visible")

    def complete(typed: str, expected: str) -> None:
        page.keyboard.type(typed)
        expect(proposed).to_contain_text(expected)

    page.locator("#pane-get_action .monaco-editor .view-lines").click()
    complete("policy = greedy.", "EpsilonGreedy")
    page.keyboard.type("EpsilonG")
    page.keyboard.press("Enter")
    expect(field).to_have_value("policy = greedy.EpsilonGreedy(theta, arms)")
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    complete("policy.", "pull")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.keyboard.type("tho")
    page.keyboard.press("Control+Space")
    expect(proposed).to_contain_text("thompson")


def test_the_library_is_served_as_it_is(visit: Visitor) -> None:
    page = visit("/ui/help")
    library = json.loads(page.request.get(f"{visit.url}/ui/assets/000000000000/library.json").text())
    greedy = library["greedy"]["members"]["EpsilonGreedy"]
    assert greedy["required"] == ["theta", "arms"]
    assert greedy["signature"].startswith("(theta, arms, epsilon=")
    assert greedy["doc"].startswith("Take the best arm")
    assert greedy["methods"]["update"]["required"] == ["arm", "reward"]
    documented = [m["doc"] for module in library.values() for m in module["members"].values()]
    assert len(documented) > 40
    assert all(documented)
