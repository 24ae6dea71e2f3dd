"""Every attack of the catalogue, by a researcher of a running server: nothing is hit, and all are answered after."""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.attacks import GROUPS, SYSTEM_CALLS, scripts, system_call
from tests.sandbox.surroundings import PATIENCE, Surroundings, assert_clean
from tests.servers import Experiment, Researcher, Server

CASES = [(group, name) for group, attacks in GROUPS.items() for name in attacks]


@pytest.fixture(scope="module")
def surroundings(server: Server) -> Iterator[Surroundings]:
    with Surroundings(server) as around:
        yield around


@pytest.fixture(scope="module")
def attacker(server: Server) -> Iterator[Researcher]:
    with server.researcher() as somebody:
        yield somebody


def last_error(experiment: Experiment) -> dict[str, Any]:
    """What the owner is told; it is written down just after the answer."""
    end = time.monotonic() + PATIENCE
    while not (rows := experiment.http.get(f"/stats/{experiment.id}/errors").json()):
        assert time.monotonic() < end, "no error was written down"
    row: dict[str, Any] = rows[0]
    return row


@pytest.mark.parametrize(("group", "name"), CASES)
def test_an_attack_has_no_effect_and_everybody_is_answered_after(
    group: str, name: str, attacker: Researcher, surroundings: Surroundings
) -> None:
    experiment = attacker.create(**scripts(GROUPS[group][name]))
    started = time.monotonic()

    answer = experiment.get_action(context=surroundings.context)

    assert time.monotonic() - started < PATIENCE
    assert_clean(answer)
    surroundings.assert_untouched()
    assert experiment.get_action(context={"calm": True}).json() == {"action": {"calm": True}}
    if answer.status_code == 500:
        error = last_error(experiment)
        assert error["script"] == "get_action"
        assert 0 < len(error["message"]) < 1_000


@pytest.mark.parametrize("name", SYSTEM_CALLS)
def test_a_dangerous_system_call_is_refused(name: str, attacker: Researcher, surroundings: Surroundings) -> None:
    experiment = attacker.create(**scripts(system_call(name)))

    action = assert_clean(experiment.get_action(context=surroundings.context))

    assert action == {"errno": errno.EPERM}
    surroundings.assert_untouched()
    assert experiment.get_action(context={"calm": True}).status_code == 200


@pytest.mark.parametrize(
    ("group", "name", "line", "message"),
    [
        ("time", "loop", None, "get_action ran longer than 0.5 s"),
        ("time", "loop_in_c", None, "get_action ran longer than 0.5 s and had to be killed"),
        ("time", "late_answer", None, "get_action ran longer than 0.5 s"),
        ("exits", "os_exit", None, "get_action ended the process it ran in, or used up its memory"),
        ("exits", "system_exit", 15, "SystemExit: 0"),
        ("memory", "zeros", 15, "MemoryError: the script needs more memory than sandbox.memory_mb allows"),
        ("returns", "nan", None, "self.action: x is not a finite number"),
        ("returns", "object", None, "self.action['x'] is an object, which JSON does not have"),
        ("returns", "many_rows", 16, "log_data: a call may log 1,000 rows"),
        ("returns", "evil_message", 18, "Evil: its message could not be read (SystemExit)"),
    ],
)
def test_the_owner_is_told_in_words_what_happened(
    group: str, name: str, line: int | None, message: str, attacker: Researcher, surroundings: Surroundings
) -> None:
    experiment = attacker.create(**scripts(GROUPS[group][name]))
    experiment.get_action(context=surroundings.context)

    error = last_error(experiment)

    assert (error["line"], error["message"]) == (line, message)


def test_a_call_that_fails_leaves_nothing_behind(attacker: Researcher) -> None:
    effects = "self.set_theta({'n': 1}, 'key', 'value')\nself.log_data({'a': 1})\n"
    experiment = attacker.create(
        get_action=effects + "if not self.context.get('calm'): 1 / 0",
        set_reward=effects + "self.delete_theta()\n1 / 0",
    )

    assert experiment.get_action().status_code == 500
    assert experiment.set_reward(context={}, action={}, reward={}).status_code == 500
    assert experiment.theta() == {}
    assert attacker.http.get(f"/stats/{experiment.id}/log").json() == []
    assert attacker.http.get(f"/stats/{experiment.id}/rewardlog").json() == []

    assert experiment.get_action(context={"calm": True}).status_code == 200
    assert experiment.theta() == {"key:value": {"n": 1}}
    assert len(attacker.http.get(f"/stats/{experiment.id}/log").json()) == 1


def test_names_of_one_call_are_gone_in_the_next(attacker: Researcher) -> None:
    experiment = attacker.create(
        get_action=(
            "self.action['seen'] = [name for name in ('kept', 'stash') if name in globals() or name in __builtins__]\n"
            "kept = 1\n__builtins__['stash'] = 1\n"
        )
    )

    answers = [experiment.get_action().json() for _ in range(3)]

    assert answers == [{"action": {"seen": []}}] * 3


def test_what_a_policy_hides_in_a_module_stays_in_its_own_worker(attacker: Researcher, other: Researcher) -> None:
    hides = "self.action['there'] = hasattr(np, 'hidden')\nnp.hidden = 1"
    first = attacker.create(get_action=hides)
    answers = [first.get_action().json()["action"]["there"] for _ in range(3)]
    assert answers[0] is False  # the others are up to it: a policy can keep state in its own worker

    for somebody in (attacker, other):
        for _ in range(3):
            seen = somebody.create(get_action="self.action['there'] = hasattr(np, 'hidden')").get_action()
            assert seen.json() == {"action": {"there": False}}


@pytest.mark.parametrize(
    "script", ["1" + "+1" * 100_000, "(" * 5_000 + ")" * 5_000, "-" * 100_000 + "1", "\0", "x = '\ud800'"]
)
def test_a_script_that_attacks_the_compiler_is_refused_or_runs(script: str, attacker: Researcher) -> None:
    source = script.encode("utf-8", "replace").decode()

    answer = attacker.http.post("/exp", json={"name": secrets.token_hex(8), "get_action": source})

    assert answer.status_code in (200, 400), answer.text
    assert attacker.create(get_action="self.action['a'] = 1").get_action().status_code == 200
