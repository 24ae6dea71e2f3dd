"""Saving: nothing is lost, overwritten or learned on by accident."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Visitor
from tests.dashboard.test_editor import create, open_editor, save, saved, write
from tests.servers import COUNTING

GREEDY = (
    "policy = greedy.EpsilonGreedy(self.get_theta(), ['a', 'b'], epsilon=0.1)\n"
    "self.action['arm'], self.action['propensity'] = policy.pull(self.context)"
)
LEARN = (
    "policy = greedy.EpsilonGreedy(self.get_theta(), ['a', 'b'], epsilon=0.1)\n"
    "policy.update(self.action['arm'], self.reward['value'], self.context)\nself.set_theta(policy)"
)


def load(page: Page, template: str, *, asked: bool = True) -> None:
    """Load a template; where it replaces something, that is asked about."""
    page.get_by_label("Template").select_option(template)
    page.get_by_role("button", name="Load template").click()
    if asked:
        page.get_by_role("dialog").get_by_role("button", name="Load template").click()
    expect(page.locator("#announcement")).to_contain_text("is loaded")


def test_a_template_brings_its_own_options_and_takes_the_former_ones_away(signed_in: Visitor) -> None:
    exp_id = create(signed_in)["id"]
    page = open_editor(signed_in, exp_id)
    load(page, "6", asked=False)  # advice ids, 24 hours, a default revenue
    assert page.locator("#default_reward").input_value() == '{"revenue":0}'
    load(page, "3")  # none of these
    expect(page.locator("#announcement")).to_have_text("E-Greedy is loaded, and not saved yet")
    assert not page.get_by_label("Give advice ids").is_checked()
    save(page, 2)
    row = saved(signed_in, exp_id)
    assert (row["advice_id"], row["delta_hours"], row["default_reward"]) == (False, 0, "{}")


def test_saving_without_a_change_makes_no_revision(signed_in: Visitor) -> None:
    exp_id = create(signed_in, **COUNTING)["id"]
    page = open_editor(signed_in, exp_id)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#announcement")).to_have_text("There are no changes to save")
    page.keyboard.press("Control+s")
    assert saved(signed_in, exp_id)["revision"] == 1
    page.get_by_label("Hourly theta snapshots").check()
    save(page, 2)


def test_another_policy_is_not_given_the_old_theta_unasked(signed_in: Visitor) -> None:
    exp = create(signed_in, get_action=GREEDY, set_reward=LEARN)
    request, url = signed_in.page.request, signed_in.url

    def theta() -> object:
        return request.get(f"{url}/stats/{exp['id']}/currenttheta").json()

    reward = {"key": exp["key"], "context": {}, "action": {"arm": "a"}, "reward": {"value": 1}}
    assert request.post(f"{url}/setreward/{exp['id']}", data=reward).ok
    learned = theta()
    page = open_editor(signed_in, exp["id"])
    # A parameter is no other policy.
    page.get_by_label("Hourly theta snapshots").check()
    write(page, "get_action", "  # a remark on softmax.Softmax")
    save(page, 2)

    load(page, "13")
    question = page.get_by_role("dialog", name="Keep theta?")
    page.keyboard.press("Control+s")
    question.get_by_role("button", name="Cancel").click()
    expect(page.locator("#save-state")).to_have_text("There are unsaved changes")
    assert saved(signed_in, exp["id"])["revision"] == 2
    page.keyboard.press("Control+s")
    question.get_by_role("button", name="Save and keep theta").click()
    expect(page.locator("#announcement")).to_have_text("Saved as revision 3")
    assert theta() == learned
    load(page, "18")
    page.keyboard.press("Control+s")
    question.get_by_role("button", name="Save and reset theta").click()
    expect(page.locator("#announcement")).to_have_text("Saved as revision 4, and theta was reset")
    assert theta() == {}
    # There is nothing to lose now.
    load(page, "14")
    save(page, 5)


def test_scripts_outlive_the_session_in_which_they_were_written(signed_in: Visitor, account: str) -> None:
    exp_id = create(signed_in, **COUNTING)["id"]
    page = open_editor(signed_in, exp_id)
    signed_in.expect(401)
    page.request.post(f"{signed_in.url}/logout/everywhere")
    write(page, "get_context", "\n# an hour of work")
    page.wait_for_url("**/ui/sign-in?next=*")
    page.get_by_label("User name").fill(account)
    page.get_by_label("Password", exact=True).fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/ui/experiments/{exp_id}")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#draft")).to_contain_text("Your unsaved changes of")
    expect(page.locator("#save-state")).to_have_text("There are unsaved changes")
    assert page.locator("#get_context").input_value().endswith("# an hour of work")
    save(page, 2)
    expect(page.locator("#draft")).to_be_hidden()
    assert saved(signed_in, exp_id)["get_context"].endswith("# an hour of work")
    open_editor(signed_in, exp_id)
    expect(page.locator("#save-state")).to_have_text("All changes are saved")


@pytest.mark.slow
def test_a_draft_is_discarded_on_demand_and_never_overwrites_what_was_saved_since(signed_in: Visitor) -> None:
    exp_id = create(signed_in, **COUNTING)["id"]
    page = open_editor(signed_in, exp_id)
    page.on("dialog", lambda dialog: dialog.accept())
    write(page, "get_context", "\n# mine")
    page.request.put(f"{signed_in.url}/exp/{exp_id}", data={**saved(signed_in, exp_id), "get_reward": "# theirs"})
    open_editor(signed_in, exp_id)
    expect(page.locator("#draft")).to_contain_text("They were made on revision 1")
    signed_in.expect(412)
    page.keyboard.press("Control+s")
    expect(page.locator("#conflict")).to_contain_text("saved revision 2 meanwhile (changed: get_reward)")
    page.get_by_role("button", name="Discard them").click()
    expect(page.locator("#save-state")).to_have_text("All changes are saved")
    assert page.locator("#get_reward").input_value() == "# theirs"
    open_editor(signed_in, exp_id)
    expect(page.locator("#draft")).to_be_hidden()
    write(page, "get_context", "\n# once more")
    page.get_by_role("button", name=re_account(page)).click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/ui/sign-in")
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('draft:'))") == []


def re_account(page: Page) -> str:
    """The name on the button of the account's menu."""
    return page.locator(".who-name").inner_text()
