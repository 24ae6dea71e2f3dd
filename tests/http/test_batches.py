"""Batch calls and request ids."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers import COUNTING, Experiment, Researcher

ADVISING = COUNTING | {"advice_id": True, "delta_hours": 1, "default_reward": {"value": 0}}


@pytest.fixture
def experiment(researcher: Researcher) -> Experiment:
    return researcher.create(**ADVISING)


def test_a_batch_answers_every_item_in_order(experiment: Experiment) -> None:
    items = [{"context": {"number": number}} for number in range(100)]
    answer = experiment.post("getaction", "batch", items=items)
    advices = [item["advice_id"] for item in answer.json()["items"]]
    assert len(set(advices)) == 100
    rewards = [{"advice_id": advice, "reward": {"value": 1}} for advice in advices]
    assert experiment.post("setreward", "batch", items=rewards).json() == {"items": [{"status": "success"}] * 100}
    logged = {row["advice_id"]: row["context"]["number"] for row in experiment.stats("actionlog")}
    assert [logged[advice] for advice in advices] == list(range(100))
    assert sum(theta["n"] for theta in experiment.theta().values()) == 100


def test_one_bad_item_fails_alone(experiment: Experiment) -> None:
    advice = experiment.get_action().json()["advice_id"]
    items = [
        {"advice_id": "unknown", "reward": {}},
        {"advice_id": advice, "reward": [1]},
        {"advice_id": advice, "reward": {"value": 1}},
        {"advice_id": advice, "reward": {"value": 1}},
        {"advice_id": advice, "reward": {"value": 2}},
        "no object",
    ]
    answers = experiment.post("setreward", "batch", items=items).json()["items"]
    assert [answer.get("error", {}).get("code") for answer in answers] == [404, 400, None, None, 409, 400]
    assert answers[2:4] == [{"status": "success"}, {"status": "success", "duplicate": True}]


@pytest.mark.parametrize("items", [None, [], {}, "x", [{}] * 1001], ids=["none", "empty", "object", "text", "1001"])
def test_a_frame_takes_one_to_a_thousand_items(experiment: Experiment, items: object) -> None:
    answer = experiment.post("getaction", "batch", items=items)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"] == {"parameter": "items"}


def test_a_batch_needs_the_key(experiment: Experiment) -> None:
    answer = experiment.post("getaction", "batch", items=[{}], key="wrong")
    assert answer.status_code == 401


def test_a_post_takes_its_parameters_from_the_body_whatever_its_type_says(experiment: Experiment) -> None:
    advice = experiment.post("getaction", context={"a": 1}).json()["advice_id"]
    body = f'{{"key": "{experiment.key}", "advice_id": "{advice}", "reward": "{{\\"value\\": 1}}"}}'
    answer = experiment.http.post(f"/setreward/{experiment.id}", content=body, headers={"Content-Type": "text/plain"})
    assert answer.json() == {"status": "success"}
    assert experiment.stats("rewardlog")[0]["context"] == {"a": 1}


def test_fixed_words_are_read_in_any_case(experiment: Experiment) -> None:
    answer = experiment.http.get(f"/GetAction/{experiment.id}", params={"key": experiment.key})
    assert answer.status_code == 200


def test_the_same_request_id_answers_the_first_action_again(experiment: Experiment) -> None:
    first = experiment.get_action(context={"n": 1}, request_id="visit 1")
    again = [experiment.get_action(context={"n": 1.0}, request_id="visit 1") for _ in range(5)]
    by_header = experiment.http.get(
        f"/getaction/{experiment.id}",
        params={"key": experiment.key, "context": '{"n": 1}'},
        headers={"Idempotency-Key": "visit 1"},
    )
    assert all(answer.json() == first.json() for answer in [*again, by_header])
    assert len(experiment.stats("actionlog")) == 1
    assert experiment.get_action(request_id="visit 2").json()["advice_id"] != first.json()["advice_id"]


def test_request_ids_in_one_batch_count_once(experiment: Experiment) -> None:
    answers = experiment.post("getaction", "batch", items=[{"request_id": "same"}] * 20).json()["items"]
    assert all(answer == answers[0] for answer in answers)
    assert len(experiment.stats("actionlog")) == 1


def test_the_same_request_id_counts_a_reward_once_and_refuses_another(experiment: Experiment) -> None:
    about = {"context": {}, "action": {"arm": "a"}, "request_id": "order 7"}
    assert experiment.set_reward(reward={"value": 1}, **about).json() == {"status": "success"}
    again = experiment.set_reward(reward={"value": 1.0}, **about)
    assert again.json() == {"status": "success", "duplicate": True}
    assert experiment.set_reward(reward={"value": 2}, **about).status_code == 409
    assert experiment.theta() == {"arm:a": {"n": 1}}
    assert experiment.stats("rewardlog")[0]["request_id"] == "order 7"


@pytest.mark.parametrize(
    ("differs", "other"),
    [
        ("action", {"action": {"arm": "b"}}),
        ("context", {"context": {"n": 1}}),
        ("reward", {"reward": {"value": 2}}),
    ],
)
def test_a_request_id_of_another_reward_is_refused_and_says_in_what_they_differ(
    experiment: Experiment, differs: str, other: dict[str, Any]
) -> None:
    first = {"context": {}, "action": {"arm": "a"}, "reward": {"value": 1}, "request_id": "visitor-7"}
    assert experiment.set_reward(**first).json() == {"status": "success"}
    answer = experiment.set_reward(**first | other)
    assert answer.status_code == 409
    date = experiment.stats("rewardlog")[0]["date"]
    error = answer.json()["error"]
    assert error["detail"] == {"request_id": "visitor-7", "differs": differs, "date": date}
    assert "'visitor-7'" in error["message"]
    assert date in error["message"]
    assert f"another {differs}" in error["message"]
    assert experiment.set_reward(**first).json() == {"status": "success", "duplicate": True}
    assert experiment.summary()["set_reward_calls"] == 1


def test_a_request_id_of_another_advice_is_refused_and_that_advice_still_waits(researcher: Researcher) -> None:
    experiment = researcher.create(**ADVISING)
    one, two = (experiment.get_action().json()["advice_id"] for _ in range(2))
    given = {"reward": {"value": 1}, "request_id": "visitor-7"}
    assert experiment.set_reward(advice_id=one, **given).json() == {"status": "success"}
    answer = experiment.set_reward(advice_id=two, **given)
    assert (answer.status_code, answer.json()["error"]["detail"]["differs"]) == (409, "advice")
    by_action = experiment.set_reward(context={}, action={"arm": "a"}, **given)
    assert (by_action.status_code, by_action.json()["error"]["detail"]["differs"]) == (409, "advice")
    assert experiment.set_reward(advice_id=two, reward={"value": 1}).json() == {"status": "success"}


@pytest.mark.parametrize("learns", [False, True])
def test_a_request_id_of_another_context_is_refused_and_tells_nothing_of_it(
    researcher: Researcher, learns: bool
) -> None:
    script = "self.action['arm'] = 'a'\n" + ("self.set_theta({'n': 1}, 'shown')\n" if learns else "")
    experiment = researcher.create(get_action=script)
    first = experiment.get_action(context={"name": "Ann"}, request_id="visitor-7")
    answer = experiment.get_action(context={"name": "Bob"}, request_id="visitor-7")
    assert (answer.status_code, answer.json()["error"]["detail"]["differs"]) == (409, "context")
    assert "Ann" not in answer.text
    assert experiment.get_action(context={"name": "Ann"}, request_id="visitor-7").json() == first.json()
    assert len(experiment.stats("actionlog")) == 1


def test_without_any_id_each_accepted_reward_counts(experiment: Experiment) -> None:
    for _ in range(3):
        experiment.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
    assert experiment.theta() == {"arm:a": {"n": 3}}


def test_a_request_id_is_text_of_at_most_128_characters(experiment: Experiment) -> None:
    answer = experiment.get_action(request_id="x" * 129)
    assert answer.status_code == 400
    assert answer.json()["error"]["detail"] == {"parameter": "request_id"}


def test_an_action_whose_script_learns_answers_its_request_id_again_too(researcher: Researcher) -> None:
    script = (
        "count = base.Count(self.get_theta('shown'))\n"
        "count.increment()\n"
        "self.set_theta(count, 'shown')\n"
        "self.action['n'] = count.get_value()\n"
    )
    experiment = researcher.create(get_action=script)
    first = [experiment.get_action(request_id=f"r{number}").json() for number in range(3)]
    assert first == [{"action": {"n": 1}}, {"action": {"n": 2}}, {"action": {"n": 3}}]
    assert [experiment.get_action(request_id=f"r{number}").json() for number in range(3)] == first
    assert experiment.theta() == {"shown": {"n": 3}}
