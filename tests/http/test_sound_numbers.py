"""Numbers that would spoil an experiment unnoticed are errors that its owner reads, and change nothing."""

from __future__ import annotations

from tests.servers import Researcher


def test_one_reward_does_not_make_theta_nan_for_ever(researcher: Researcher) -> None:
    script = (
        "m = base.Mean(self.get_theta())\nm.update(np.log(self.reward['value']) if self.reward['value'] else -np.inf)"
    )
    experiment = researcher.create(get_action="#", set_reward=script + "\nself.set_theta(m)")
    answers = [experiment.set_reward(action={}, reward={"value": value}).status_code for value in (2, 0, 3)]
    assert answers == [200, 500, 200]
    assert experiment.theta()["n"] == 2
    assert abs(experiment.theta()["m"] - 0.8958797346140275) < 1e-12  # (log 2 + log 3) / 2
    (error,) = experiment.stats("errors")
    assert "finite" in error["message"]


def test_a_propensity_above_1_is_an_error_in_the_log(researcher: Researcher) -> None:
    experiment = researcher.create(get_action="self.action = {'arm': 'a', 'propensity': 50}")
    assert experiment.get_action().status_code == 500
    (error,) = experiment.stats("errors")
    assert error["message"] == "self.action['propensity'] is 50: expected a probability from 0 to 1"
    assert experiment.stats("actionlog") == []


def test_a_trial_shows_what_scripts_printed(researcher: Researcher) -> None:
    experiment = researcher.create(get_action="print('deciding', self.context)", set_reward="print('learning')\n1 / 0")
    body = {"context": {"a": 1}, "reward": {"value": 1}}
    row = experiment.http.post(f"/exp/{experiment.id}/try", json=body).json()
    assert row["printed"] == [
        {"script": "get_action", "text": "deciding {'a': 1}\n"},
        {"script": "set_reward", "text": "learning\n"},
    ]
    assert row["failed"]["message"] == "ZeroDivisionError: division by zero"
