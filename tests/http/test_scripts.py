"""What a script sees and may do, as a researcher meets it over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from tests.servers import COUNTING, Experiment, Researcher


def learn(experiment: Experiment, script: str, **reward: Any) -> None:
    """Run a set_reward script once."""
    assert experiment.replace(set_reward=script).status_code == 200
    answer = experiment.set_reward(context={}, action={}, reward=reward)
    assert answer.status_code == 200, answer.text + failure(experiment)


def told(experiment: Experiment, expression: str) -> Any:
    """What an expression is in a get_action script."""
    assert experiment.replace(get_action=f"self.action['told'] = {expression}").status_code == 200
    answer = experiment.get_action()
    assert answer.status_code == 200, answer.text + failure(experiment)

    return answer.json()["action"]["told"]


def failure(experiment: Experiment) -> str:
    """What the newest error row says."""
    return str(experiment.wait_for("errors", seconds=5)[0]["message"])


@pytest.fixture
def experiment(researcher: Researcher) -> Experiment:
    return researcher.create()


COLONS = "self.set_theta({'x': 1}, 'a', 'b:c')\nself.set_theta({'x': 2}, 'a:b', 'c')"
ARMS = "self.set_theta({'n': 1}, 'arm', 'a')\nself.set_theta({'n': 2}, 'arm', 'b')\n"


@pytest.mark.parametrize(
    ("written", "read", "expected"),
    [
        (ARMS, "self.get_theta('arm', 'a')", {"n": 1}),
        (ARMS, "self.get_theta(key='arm', value='b')", {"n": 2}),
        (ARMS, "self.get_theta('arm', 'c')", {}),
        (ARMS, "self.get_theta('arm')", {"a": {"n": 1}, "b": {"n": 2}}),
        (ARMS, "self.get_theta('leg')", {}),
        (ARMS, "self.get_theta()", {"arm:a": {"n": 1}, "arm:b": {"n": 2}}),
        (ARMS, "self.get_theta(name='another')", {}),
        (ARMS, "self.get_theta('arm', 'a', 'another')", {}),
        ("pass", "self.get_theta()", {}),
        ("self.set_theta({'x': 1})", "self.get_theta()", {"x": 1}),
        ("self.set_theta({'x': 1})", "self.get_theta('arm')", {}),
        ("self.set_theta({'x': 1}, 'k')", "self.get_theta('k')", {"x": 1}),
        ("self.set_theta({'x': 1}, 'k')", "self.get_theta()", {"k": {"x": 1}}),
        ("self.set_theta({'x': 1}, 'k', name='mine')", "self.get_theta('k', name='mine')", {"x": 1}),
        ("self.set_theta({'x': 1}, 'k', name='mine')", "self.get_theta('k')", {}),
        ("self.set_theta({'x': 1}, 1)\nself.set_theta({'x': 2}, 10)", "self.get_theta(1)", {"x": 1}),
        ("self.set_theta({'x': 1}, 1, 0)\nself.set_theta({'x': 2}, 10)", "self.get_theta(10)", {"x": 2}),
        ("self.set_theta({'x': 1}, 1, 0)\nself.set_theta({'x': 2}, 10)", "self.get_theta(1)", {"0": {"x": 1}}),
        ("self.set_theta({'x': 1}, 'a:b')", "self.get_theta('a', 'b')", {}),
        ("self.set_theta({'x': 1}, 'a:b')", "self.get_theta('a:b')", {"x": 1}),
        (COLONS, "self.get_theta('a', 'b:c')", {"x": 1}),
        (COLONS, "len(self.get_theta())", 2),
        ("self.set_theta({'x': 1}, 'a', True)", "self.get_theta('a', 'True')", {"x": 1}),
        ("self.set_theta({'x': 1}, 'a', 0.5)", "self.get_theta('a', 0.5)", {"x": 1}),
        ("self.set_theta({'x': 1}, 'ключ', '🎲')", "self.get_theta('ключ', '🎲')", {"x": 1}),
        ("self.set_theta({'x': 1}, '')", "[self.get_theta(''), self.get_theta('k')]", [{"x": 1}, {}]),
        ("self.set_theta({'x': 1}, 'a.b', '$c')", "self.get_theta('a.b', '$c')", {"x": 1}),
        ("self.set_theta({'x': 1}, value='v')\nself.set_theta({'x': 2}, 'v')", "self.get_theta('v')", {"x": 2}),
        ("self.set_theta({1: {2: 'x'}})", "self.get_theta()", {"1": {"2": "x"}}),
        ("self.set_theta({})", "self.get_theta()", {}),
        ("self.set_theta({'x': '3', 'y': [1]})", "self.get_theta(all_float=True)", {"x": 3.0, "y": [1.0]}),
    ],
)  # fmt: skip
def test_theta_is_read_as_it_was_written(experiment: Experiment, written: str, read: str, expected: Any) -> None:
    learn(experiment, written)
    assert told(experiment, read) == expected


def test_theta_comes_back_with_the_types_it_was_stored_with(experiment: Experiment) -> None:
    values = "{'i': 3, 'f': 3.0, 'b': True, 'n': None, 's': 'x', 'l': [1, 2.5], 'big': 2**62, 'e': {}}"
    learn(experiment, f"self.set_theta({values}, 'k', 'v')")
    assert told(experiment, "{k: type(v).__name__ for k, v in self.get_theta('k', 'v').items()}") == {
        "i": "int",
        "f": "float",
        "b": "bool",
        "n": "NoneType",
        "s": "str",
        "l": "list",
        "big": "int",
        "e": "dict",
    }
    assert told(experiment, f"self.get_theta('k', 'v') == {values}") is True


def test_large_numbers_come_back_through_an_advice(researcher: Researcher) -> None:
    """Integers of more than 32 bits, such as times in milliseconds, in context, action and reward."""
    experiment = researcher.create(
        advice_id=True,
        delta_hours=1,
        default_reward={},
        get_action="self.action['t'] = self.context['t']",
        set_reward="self.set_theta({'sum': self.context['t'] + self.action['t'] + self.reward['t']})",
    )
    decided = experiment.get_action(context={"t": 10**12}).json()
    assert decided["action"] == {"t": 10**12}
    for _ in range(2):  # the retry compares with what is stored
        answer = experiment.set_reward(advice_id=decided["advice_id"], reward={"t": 10**15})
        assert answer.status_code == 200
    assert experiment.theta() == {"sum": 10**15 + 2 * 10**12}
    assert experiment.stats("rewardlog")[0]["reward"] == {"t": 10**15}
    assert experiment.stats("actionlog")[0]["context"] == {"t": 10**12}


def test_a_theta_that_was_stored_with_what_is_no_finite_number_is_read_and_repaired(
    experiment: Experiment, database: Database[dict[str, Any]]
) -> None:
    learn(experiment, "self.set_theta({'x': 1, 'y': 2, 'z': 3})")
    spoilt = {"x": float("inf"), "y": float("nan"), "z": 3}
    database.theta.update_one({"exp_id": experiment.id}, {"$set": {"theta": spoilt}})
    assert experiment.theta() == {"x": None, "y": None, "z": 3}
    assert told(experiment, "str(self.get_theta())") == "{'x': inf, 'y': nan, 'z': 3}"
    learn(experiment, "self.set_theta({k: v for k, v in self.get_theta().items() if np.isfinite(v)})")
    assert experiment.theta() == {"z": 3}


def test_each_get_theta_gives_a_copy_of_its_own(experiment: Experiment) -> None:
    learn(experiment, "self.set_theta({'x': [1]}, 'k')")
    changed = "(self.get_theta('k')['x'].append(2), self.get_theta('k'))[1]"
    assert told(experiment, changed) == {"x": [1]}


def test_a_script_sees_its_own_writes_at_once(experiment: Experiment) -> None:
    script = """
self.set_theta({"x": 1}, "k", "v")
first = self.get_theta("k", "v")
removed = self.delete_theta("k", "v")
self.set_theta({"first": first, "removed": removed, "then": self.get_theta("k")}, "seen")
"""
    learn(experiment, script)
    assert experiment.theta() == {"seen": {"first": {"x": 1}, "removed": 1, "then": {}}}


def test_delete_theta_says_how_many_there_were(experiment: Experiment) -> None:
    learn(experiment, ARMS + "self.set_theta({'x': 1}, 'other')")
    learn(experiment, "self.set_theta({'n': self.delete_theta('arm')}, 'deleted')")
    assert experiment.theta() == {"deleted": {"n": 2}, "other": {"x": 1}}
    learn(experiment, "n = self.delete_theta()\nself.set_theta({'n': n, 'none': self.delete_theta('arm', 'a')})")
    assert experiment.theta() == {"n": 2, "none": 0}


def test_an_object_with_get_dict_is_stored_as_what_it_gives(experiment: Experiment) -> None:
    learn(experiment, "mean = base.Mean({})\nmean.update(4)\nmean.update(6)\nself.set_theta(mean, 'm')")
    assert experiment.theta() == {"m": {"m": 5.0, "n": 2}}
    assert told(experiment, "base.Mean(self.get_theta('m')).get_value()") == 5.0


@pytest.mark.parametrize(
    ("theta", "complaint"),
    [
        ("3", "must be a dict"),
        ("[1]", "must be a dict"),
        ("{'x': {1, 2}}", "a set"),
        ("{'x': self}", "JSON"),
        ("{'x': np.inf}", "x is not a finite number"),
        ("{'x': [{'y': np.nan}]}", "x[0].y is not a finite number"),
        ("{(1, 2): 3}", "keys must be text"),
        ("{'x': 2**63}", "64 bits"),
        ("{'x': 'y' * 5_000_000}", "MiB"),
        ("{'x': chr(0xdc00)}", "surrogate"),
    ],
)
def test_a_theta_that_cannot_be_kept_is_an_error_that_says_so(
    experiment: Experiment, theta: str, complaint: str
) -> None:
    experiment.replace(set_reward=f"self.set_theta({theta}, 'k')")
    assert experiment.set_reward(action={}, reward={}).status_code == 500
    assert complaint in failure(experiment)
    assert experiment.theta() == {}


@pytest.mark.parametrize("key", ["'x' * 4_097", "chr(0xd800)"])
def test_a_key_that_cannot_be_kept_is_an_error(experiment: Experiment, key: str) -> None:
    experiment.replace(set_reward=f"self.set_theta({{}}, {key})")
    assert experiment.set_reward(action={}, reward={}).status_code == 500
    failure(experiment)


def test_a_script_that_fails_after_writing_leaves_nothing(experiment: Experiment) -> None:
    script = "self.set_theta({'x': 1})\nself.log_data({'y': 1})\nraise ValueError('after all')"
    experiment.replace(set_reward=script, get_action=script)
    assert experiment.set_reward(action={}, reward={}).status_code == 500
    assert experiment.get_action().status_code == 500
    assert experiment.theta() == {}
    assert experiment.stats("log") == experiment.stats("rewardlog") == experiment.stats("actionlog") == []


def test_an_action_that_learns_is_kept_with_what_it_learned(experiment: Experiment) -> None:
    experiment.replace(
        get_action="n = self.get_theta().get('n', 0)\nself.set_theta({'n': n + 1})\nself.action['n'] = n"
    )
    assert [experiment.get_action().json()["action"]["n"] for _ in range(4)] == [0, 1, 2, 3]
    assert experiment.theta() == {"n": 4}


def test_what_is_logged_is_in_the_log(experiment: Experiment) -> None:
    experiment.replace(
        get_action="self.log_data({'from': 'get_action', 'x': np.float64(0.5)})\nself.log_data({'second': [1]})",
        set_reward="self.log_data({'from': 'set_reward', 'r': self.reward['r']})",
    )
    experiment.get_action()
    experiment.set_reward(action={}, reward={"r": 3})
    rows = [{name: value for name, value in row.items() if name != "date"} for row in experiment.stats("log")]
    assert rows[0] == {"from": "set_reward", "r": 3}
    assert {"from": "get_action", "x": 0.5} in rows
    assert {"second": [1]} in rows


def test_results_of_numpy_are_numbers_and_lists(experiment: Experiment) -> None:
    assert told(
        experiment,
        "{'f': np.float32(0.5), 'i': np.int64(3), 'b': np.bool_(True), 'a': np.arange(4).reshape(2, 2), 't': (1, 2)}",
    ) == {"f": 0.5, "i": 3, "b": True, "a": [[0, 1], [2, 3]], "t": [1, 2]}


def test_scripts_read_what_was_sent_and_may_replace_it(experiment: Experiment) -> None:
    experiment.replace(
        get_action="self.action = {'age': self.context['age'], 'id': self.exp_id}",
        set_reward="self.set_theta({'c': self.context, 'a': self.action, 'r': self.reward})",
    )
    assert experiment.get_action(context={"age": 30}).json() == {"action": {"age": 30, "id": experiment.id}}
    experiment.set_reward(context={"c": [1]}, action={"a": None}, reward={"r": 0.5})
    assert experiment.theta() == {"c": {"c": [1]}, "a": {"a": None}, "r": {"r": 0.5}}


def test_empty_scripts_do_nothing(researcher: Researcher) -> None:
    experiment = researcher.create()
    assert experiment.get_action().json() == {"action": {}}
    assert experiment.set_reward(action={}, reward={}).json() == {"status": "success"}
    assert experiment.theta() == {}


@pytest.mark.parametrize(
    "module",
    [
        *("json", "math", "random", "statistics", "datetime", "time", "collections", "itertools", "functools", "re"),
        *("numpy", "scipy.special", "base", "lm", "lif", "thompson", "thmp", "tbl", "bts"),
    ],
)
def test_harmless_modules_can_be_imported(experiment: Experiment, module: str) -> None:
    experiment.replace(get_action=f"import {module}\nself.action['ok'] = 1")
    assert experiment.get_action().json() == {"action": {"ok": 1}}, failure(experiment)


@pytest.mark.parametrize(
    "module", ["os", "sys", "subprocess", "socket", "pathlib", "ctypes", "importlib", "pymongo", "app", "tornado", "gc"]
)
def test_other_modules_cannot(experiment: Experiment, module: str) -> None:
    experiment.replace(get_action=f"import {module}\nself.action['ok'] = 1")
    assert experiment.get_action().status_code == 500
    assert f"cannot import '{module}'" in failure(experiment)


def test_names_of_the_library_are_there_without_import(experiment: Experiment) -> None:
    names = ["np", "numpy", "random", "math", "base", "lm", "lif", "thompson", "thmp", "tbl", "bts", "scipy", "sp"]
    assert told(experiment, f"[name for name in {names!r} if name not in globals()]") == []
    assert told(experiment, "float(sp.special.expit(0))") == 0.5


def test_one_call_leaves_nothing_for_the_next(experiment: Experiment) -> None:
    experiment.replace(get_action="self.action['seen'] = 'left' in globals()\nleft = 1\nglobals()['left'] = 1")
    assert [experiment.get_action().json()["action"]["seen"] for _ in range(3)] == [False] * 3


def test_a_new_script_is_in_effect_at_once(researcher: Researcher) -> None:
    experiment = researcher.create(**COUNTING)
    experiment.set_reward(action={"arm": "a"}, reward={})
    for number in range(5):
        assert told(experiment, str(number)) == number
    assert experiment.theta() == {"arm:a": {"n": 1}}  # an edit keeps theta


def test_a_range_beyond_the_bound_is_an_error_that_names_the_setting(researcher: Researcher, start: Any) -> None:
    server = start(**{"theta.range_max": 20})
    with server.researcher() as somebody:
        experiment = somebody.create()
        learn(experiment, "for n in range(20): self.set_theta({'n': n}, 'k', n)")
        assert told(experiment, "len(self.get_theta('k'))") == 20
        learn(experiment, "self.set_theta({'n': 20}, 'k', 20)")
        experiment.replace(get_action="self.action['n'] = len(self.get_theta('k'))")
        assert experiment.get_action().status_code == 500
        assert "theta.range_max" in failure(experiment)
        assert told(experiment, "self.get_theta('k', 20)") == {"n": 20}


def test_deleted_thetas_make_room_in_a_range(researcher: Researcher, start: Any) -> None:
    server = start(**{"theta.range_max": 20})
    with server.researcher() as somebody:
        experiment = somebody.create()
        learn(experiment, "for n in range(21): self.set_theta({'n': n}, 'k', n)")
        learn(experiment, "self.delete_theta('k', 20)")
        assert told(experiment, "len(self.get_theta('k'))") == 20
        # It left a document, which the next theta of that name must replace whatever is known of the range.
        learn(experiment, "self.delete_theta('k', 19)\nself.get_theta('k')\nself.set_theta({'n': 0}, 'k', 20)")
        assert told(experiment, "self.get_theta('k', 20)") == {"n": 0}
        assert told(experiment, "len(self.get_theta('k'))") == 20


def test_a_chain_of_thetas_too_long_to_follow_is_an_error(experiment: Experiment) -> None:
    learn(experiment, "for n in range(40): self.set_theta({'next': f'k{n + 1}'}, f'k{n}', 'x')")
    experiment.replace(
        get_action="at = 'k0'\nfor n in range(30): at = self.get_theta(at, 'x')['next']\nself.action['at'] = at"
    )
    # Asked for one by one; their neighbours come with the first few, so this ends well.
    assert experiment.get_action().json() == {"action": {"at": "k30"}}
