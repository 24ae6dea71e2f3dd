"""getaction and setreward, one call at a time."""

from __future__ import annotations

from tests.servers import COUNTING, Researcher


def test_an_action_and_its_reward_are_logged_and_learned(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    answer = experiment.get_action(context={"age": 30})
    assert answer.status_code == 200
    assert answer.json().keys() == {"action"}
    assert answer.headers["Cache-Control"] == "no-store"
    reward = experiment.set_reward(context={"age": 30}, action=answer.json()["action"], reward={"value": 1})
    assert reward.json() == {"status": "success"}
    assert experiment.theta() == {f"arm:{answer.json()['action']['arm']}": {"n": 1}}
