"""The list of experiments: figures, search, pages; creating and deleting one."""

from __future__ import annotations

import re
import secrets
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
        ["Draft", "draft", "0", "0", "never", "⋯"],
        ["Ready", "ready", "0", "0", "never", "⋯"],
        ["Running", "running", "3", "1", "just", "now", "⋯"],
        ["Silent", "no", "rewards", "1", "0", "just", "now", "⋯"],
    ]
    assert page.get_by_role("link", name="Ready", exact=True).get_attribute("href") == f"/ui/experiments/{ready.id}"


def test_a_script_that_fails_its_calls_is_told_until_it_is_mended(signed_in: Visitor, owner: Researcher) -> None:
    deciding = owner.create("Deciding", **COUNTING | {"get_action": "x = 1\nself.context['age']"})
    learning = owner.create("Learning", **COUNTING | {"set_reward": "1 / 0"})
    mostly_fine = owner.create("Mostly fine", **COUNTING | {"get_action": "self.action['arm'] = self.context['arm']"})
    for _ in range(2):
        assert deciding.get_action().status_code == 500
        assert learning.get_action().status_code == 200
        assert mostly_fine.get_action(context={"arm": "a"}).status_code == 200
    assert learning.set_reward(context={}, action={"arm": "a"}, reward={"value": 1}).status_code == 500
    assert mostly_fine.get_action().status_code == 500
    for one in (deciding, learning, mostly_fine):
        one.wait_for("errors")
    deciding.wait_for("errors", 2)

    def states() -> dict[str, str]:
        rows = signed_in("/ui/experiments").locator("tbody tr").all()
        return {row.locator("th").inner_text(): row.locator("[data-label=State]").inner_text() for row in rows}

    found = states()
    assert found["Deciding"] == "failing\nget_action failed in 2 of its latest 2 calls. Line 2: KeyError: 'age'"
    assert found["Learning"].startswith("failing\nset_reward failed in its only call. Line 1: ZeroDivisionError")
    assert found["Mostly fine"] == "no rewards"
    page = signed_in(f"/ui/experiments/{deciding.id}")
    assert "get_action failed in 2 of its latest 2 calls" in page.locator("#failing").inner_text()
    deciding.replace(name="Deciding", **COUNTING)
    assert states()["Deciding"] == "ready"


def test_the_list_is_in_alphabetical_order_whatever_the_case(signed_in: Visitor, owner: Researcher) -> None:
    for name in ("banana", "Price 10", "Apple", "price 9", "Zebra", "cherry", "Äpfel"):
        owner.create(name)
    page = signed_in("/ui/experiments")
    names = page.locator("tbody th").all_inner_texts()
    assert names == ["Äpfel", "Apple", "banana", "cherry", "price 9", "Price 10", "Zebra"]


def test_names_that_sort_alike_are_not_the_same_user(visit: Visitor, server: Server) -> None:
    """A Kelvin sign is equal to a K where names are sorted."""
    suffix = secrets.token_hex(4)
    for name in (f"K{suffix}", f"\N{KELVIN SIGN}{suffix}", f"k{suffix}"):
        server.add_account(name)
        with Researcher(server.client(), name) as somebody:
            somebody.create(f"Only for {name}")
        page = visit.sign_in(name)
        assert page.locator("tbody th").all_inner_texts() == [f"Only for {name}"]
        visit.context.clear_cookies()


def test_the_menu_of_a_row_opens_copies_and_resets(signed_in: Visitor, owner: Researcher) -> None:
    options = {"advice_id": True, "delta_hours": 2, "default_reward": {"value": 0}}
    original = owner.create("Original", **COUNTING, **options)
    original.set_reward(advice_id=original.get_action().json()["advice_id"], reward={"value": 1})
    assert original.theta() != {}
    menu = signed_in.page.get_by_role("navigation", name="Actions for Original")

    def choose(action: str) -> None:
        page = signed_in("/ui/experiments")
        page.get_by_role("button", name="Actions for Original").click()
        assert menu.get_by_role("link").all_inner_texts() == ["Open", "Duplicate", "Reset theta", "Delete"]
        menu.get_by_role("link", name=action).click()

    page = signed_in.page
    choose("Open")
    page.wait_for_url(f"**/ui/experiments/{original.id}")
    choose("Duplicate")
    page.wait_for_url("**/new?from=*")
    assert page.get_by_label("Name", exact=True).input_value() == "Copy of Original"
    page.get_by_role("button", name="Create experiment").click()
    page.wait_for_url(re.compile("/ui/experiments/[0-9a-f]{12}$"))
    own = ("id", "key", "name", "created")
    rows = [owner.http.get(f"/exp/{id}").json() for id in (original.id, page.url.rpartition("/")[2])]
    assert rows[0]["key"] != rows[1]["key"]
    assert rows[1]["name"] == "Copy of Original"
    first, second = ({name: value for name, value in row.items() if name not in own} for row in rows)
    assert first == second

    choose("Reset theta")
    page.wait_for_url("**/reset")
    assert "has learned from 1 reward so far" in page.inner_text("main").replace("\n", " ")
    button = page.get_by_role("button", name="Reset theta")
    assert button.is_disabled()
    page.get_by_label("Type the name to confirm").fill("Original")
    button.click()
    page.wait_for_url(f"**/ui/experiments/{original.id}")
    assert original.theta() == {}
    assert original.summary()["set_reward_calls"] == 1


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
    assert "belongs to another user." in page.inner_text("main")
    assert "secret" not in page.content()


def test_creating_from_a_template(signed_in: Visitor, owner: Researcher) -> None:
    page = signed_in("/ui/experiments")
    page.get_by_role("link", name="Create an experiment").click()
    page.get_by_label("Name", exact=True).fill("Our price")
    page.get_by_label("Filter the templates").fill("quadratic posterior")
    assert page.locator("#filtered").inner_text() == "2 templates match"
    page.get_by_role("radio", name="Thompson Bayesian Linear Regression").check()
    page.get_by_role("button", name="Create experiment").click()
    page.wait_for_url(re.compile("/ui/experiments/[0-9a-f]{12}$"))
    made = owner.http.get(f"/exp/{page.url.rpartition('/')[2]}").json()
    default = owner.http.get("/exp/defaults/9").json()
    assert made["name"] == "Our price"
    for script in ("get_context", "get_action", "get_reward", "set_reward"):
        assert made[script] == default[script]


def test_templates_are_offered_by_their_question(signed_in: Visitor) -> None:
    page = signed_in("/ui/experiments/new")
    choice = page.locator(".choice", has_text="Which headline gets most clicks?")
    assert choice.locator(".algorithm").inner_text() == "Thompson Sampling K-Armed Bernoulli"


def test_the_filter_never_hides_what_will_be_created(signed_in: Visitor) -> None:
    page = signed_in("/ui/experiments/new")
    page.get_by_label("Filter the templates").fill("no such words")
    assert page.locator("#filtered").inner_text() == "No templates match"
    assert page.get_by_role("radio", checked=True).is_visible()
    page.get_by_role("radio", name="Empty experiment").check()
    assert page.locator(".group:not(.always)").filter(visible=True).count() == 0
    page.get_by_label("Filter the templates").fill("sliding")
    assert page.locator("#filtered").inner_text() == "1 template matches"


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
    page.get_by_role("button", name=f"Actions for {HOSTILE}").click()
    page.get_by_role("link", name="Delete").click()
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
