"""The list of experiments: figures, search, pages; creating and deleting one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from tests.dashboard.conftest import Visitor
from tests.servers import COUNTING, Researcher, Server

HOSTILE = (
    """</script><script>document.title='owned'</script><img src=x onerror="document.title='owned'">"""
    """{{ 7 * 7 }} &amp; '"""
)


@pytest.fixture
def owner(server: Server, account: str) -> Iterator[Researcher]:
    """The account through the API."""
    with Researcher(server.client(), account) as somebody:
        yield somebody


def test_the_list_shows_state_counts_and_activity(signed_in: Visitor, owner: Researcher) -> None:
    running, ready = owner.create("Running", **COUNTING), owner.create("Ready", **COUNTING)
    owner.create("Draft")
    silent = owner.create("Silent", **COUNTING)
    for _ in range(3):
        action = running.get_action().json()["action"]
    running.set_reward(context={}, action=action, reward={"value": 1})
    silent.get_action()
    page = signed_in("/ui/experiments")
    rows = [row.inner_text().split() for row in page.get_by_role("row").all()[1:]]
    assert rows == [
        ["Draft", "draft", "0", "0", "never", "Delete"],
        ["Ready", "ready", "0", "0", "never", "Delete"],
        ["Running", "running", "3", "1", "just", "now", "Delete"],
        ["Silent", "no", "rewards", "1", "0", "just", "now", "Delete"],
    ]
    assert page.get_by_role("link", name="Ready", exact=True).get_attribute("href") == f"/ui/experiments/{ready.id}"


def test_a_word_explains_itself_with_the_keyboard(signed_in: Visitor, owner: Researcher) -> None:
    owner.create("One")
    page = signed_in("/ui/experiments")
    explanation = page.get_by_text("One answer to a request for an action")
    assert not explanation.is_visible()
    page.get_by_role("button", name="Decisions: what is this?").focus()
    page.keyboard.press("Enter")
    assert explanation.is_visible()
    page.keyboard.press("Escape")
    assert not explanation.is_visible()


def test_the_search_finds_words_anywhere_and_takes_them_literally(signed_in: Visitor, owner: Researcher) -> None:
    for name in ("Price (spring)", "price in autumn", "Buttons", HOSTILE):
        owner.create(name)
    page = signed_in("/ui/experiments")

    def found(text: str) -> set[str]:
        page.get_by_label("Search experiments by name").fill(text)
        page.keyboard.press("Enter")
        page.wait_for_function("text => new URLSearchParams(location.search).get('q') === text", arg=text)
        return set(page.locator("tbody th").all_inner_texts())

    assert found("PRICE") == {"Price (spring)", "price in autumn"}
    assert found("(spring") == {"Price (spring)"}
    assert found("onerror=") == {HOSTILE.replace("  ", " ")}
    assert found(".*") == set()
    assert page.get_by_role("heading", name="No experiment is called “.*”").is_visible()
    assert found(HOSTILE[:150]) == {HOSTILE}
    assert "owned" not in page.title()


def test_a_second_user_sees_none_of_it(signed_in: Visitor, server: Server, researcher: Researcher) -> None:
    theirs = researcher.create("The secret of somebody else")
    page = signed_in("/ui/experiments")
    assert page.get_by_role("heading", name="Your first experiment").is_visible()
    assert "secret" not in page.content()
    page = signed_in("/ui/experiments?q=secret")
    assert "somebody" not in page.content()
    page = signed_in(f"/ui/experiments/{theirs.id}/delete", expect=404)
    assert "somebody else." in page.inner_text("main")
    assert "secret" not in page.content()


def test_creating_from_a_ready_made_one(signed_in: Visitor, owner: Researcher) -> None:
    page = signed_in("/ui/experiments")
    page.get_by_role("link", name="Create an experiment").click()
    page.get_by_label("Name", exact=True).fill("Our price")
    page.get_by_label("Filter the ready-made experiments").fill("quadratic posterior")
    assert page.locator("#filtered").inner_text() == "2 fit."
    page.get_by_role("radio", name="Thompson Bayesian Linear Regression").check()
    page.get_by_role("button", name="Create experiment").click()
    page.wait_for_url(re.compile("/ui/experiments/[0-9a-f]{12}$"))
    made = owner.http.get(f"/exp/{page.url.rpartition('/')[2]}").json()
    default = owner.http.get("/exp/defaults/9").json()
    assert made["name"] == "Our price"
    for script in ("get_context", "get_action", "get_reward", "set_reward"):
        assert made[script] == default[script]


def test_a_name_that_is_taken_is_told_beside_the_form(signed_in: Visitor, owner: Researcher) -> None:
    owner.create("Taken")
    signed_in.expect(400)
    page = signed_in("/ui/experiments/new")
    page.get_by_label("Name", exact=True).fill("Taken")
    page.get_by_role("radio", name="Empty experiment").check()
    page.get_by_role("button", name="Create experiment").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == "Name: 'Taken' is already in use; choose another."
    assert page.get_by_label("Name", exact=True).get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.id") == "name"
    page.get_by_label("Name", exact=True).fill("Free")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/ui/experiments/[0-9a-f]{12}$"))


def test_deleting_asks_for_the_name_and_is_told(signed_in: Visitor, owner: Researcher) -> None:
    doomed = owner.create(HOSTILE, **COUNTING)
    owner.create("Kept")
    doomed.get_action()
    page = signed_in("/ui/experiments")
    page.get_by_role("link", name=f"Delete {HOSTILE}").click()
    assert page.locator("main .name").inner_text() == HOSTILE
    assert "has made 1 decision" in page.inner_text("main").replace("\n", " ")
    button = page.get_by_role("button", name="Delete for good")
    assert button.is_disabled()
    page.get_by_label("Type the name to confirm").fill(HOSTILE[:-1])
    assert button.is_disabled()
    page.get_by_label("Type the name to confirm").fill(HOSTILE)
    button.click()
    page.wait_for_url("**/ui/experiments")
    toast = page.get_by_role("status")
    toast.wait_for()
    assert toast.inner_text() == f"“{HOSTILE}” was deleted."
    assert page.locator("tbody th").all_inner_texts() == ["Kept"]
    assert doomed.get_action().status_code == 401
    assert "owned" not in page.title()


@pytest.mark.slow
def test_whoever_was_signed_out_meanwhile_signs_in_and_comes_back(signed_in: Visitor, owner: Researcher) -> None:
    page = signed_in("/ui/experiments/new")
    owner.http.post("/logout/everywhere")
    signed_in.expect(401)
    page.get_by_label("Name", exact=True).fill("Later")
    page.get_by_role("radio", name="Empty experiment").check()
    page.get_by_role("button", name="Create experiment").click()
    page.wait_for_url("**/ui/sign-in?next=%2Fui%2Fexperiments%2Fnew")


@pytest.mark.slow
def test_a_thousand_experiments_are_listed_in_pages(
    database: Database[dict[str, Any]], visit: Visitor, account: str, owner: Researcher
) -> None:
    one = owner.create("Number 0000", **COUNTING)
    row = database.experiments.find_one({"_id": one.id})
    head = database.heads.find_one({"_id": one.id})
    assert row is not None
    assert head is not None
    numbers = range(1, 1_000)
    database.experiments.insert_many(row | {"_id": f"{account}{n}", "name": f"Number {n:04}"} for n in numbers)
    database.heads.insert_many(head | {"_id": f"{account}{n}"} for n in numbers)
    page = visit.sign_in(account)
    assert page.locator("tbody tr").count() == 25
    assert page.locator(".pager p").inner_text() == "1,000 experiments · page 1 of 40"
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**/ui/experiments?page=2")
    assert page.locator("tbody th").first.inner_text() == "Number 0025"
    page = visit("/ui/experiments?page=40&q=number")
    assert page.locator("tbody th").last.inner_text() == "Number 0999"
    assert page.get_by_role("link", name="Next").count() == 0
    for nonsense in ("0", "-1", "x", "٣", "9" * 30):
        visit(f"/ui/experiments?page={nonsense}")
    page = visit("/ui/experiments?page=41")
    page.get_by_role("link", name="To the first page").click()
