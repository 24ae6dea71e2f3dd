"""A script that speaks for its worker can lie about itself and about nobody else, and cannot harm the server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox.host import reply_validation
from app.sandbox.protocol import Done, Entry, Failed, Item, Missed, PutOff, encode
from tests.sandbox.attacks import CHANNEL, forgery, scripts
from tests.sandbox.surroundings import MARK, Surroundings, assert_clean
from tests.servers import Researcher, Server

# What a server may need more, for a moment, while it reads a hostile answer.
MEMORY_MB = 300


@pytest.fixture(scope="module")
def surroundings(server: Server) -> Iterator[Surroundings]:
    with Surroundings(server) as around:
        yield around


@pytest.fixture(scope="module")
def attacker(server: Server) -> Iterator[Researcher]:
    with server.researcher() as somebody:
        yield somebody


@pytest.mark.parametrize("name", CHANNEL)
def test_a_forged_answer_to_get_action_touches_nobody_else(
    name: str, attacker: Researcher, surroundings: Surroundings
) -> None:
    attack = forgery(name).replace("%s", MARK)
    experiment = attacker.create(**scripts(attack))
    before = memory_mb(surroundings.server)

    action = assert_clean(experiment.get_action(context=surroundings.context))

    assert "increment" not in str(action)  # it is in the bystander's script
    surroundings.assert_untouched()
    assert memory_mb(surroundings.server) < before + MEMORY_MB
    assert experiment.get_action(context={"calm": True}).json() == {"action": {"calm": True}}


@pytest.mark.parametrize(
    "name", [name for name in CHANNEL if re.search("theta|head|unknown|foreign|tiny|put_off", name)]
)
def test_a_forged_answer_to_set_reward_touches_nobody_else(
    name: str, attacker: Researcher, surroundings: Surroundings
) -> None:
    attack = forgery(name).replace("%s", MARK)
    script = scripts(attack)["get_action"].replace("self.action['calm'] = True", "self.set_theta({'n': 1})")
    experiment = attacker.create(set_reward=script)

    answer = experiment.set_reward(context=surroundings.context, action={}, reward={"value": 1})

    assert answer.status_code in (200, 500)
    assert "mistake" not in answer.text
    surroundings.assert_untouched()
    calm = experiment.set_reward(context={"calm": True}, action={}, reward={"value": 1})
    assert calm.json() == {"status": "success"}
    assert experiment.theta() == {"n": 1}
    rewards = experiment.http.get(f"/stats/{experiment.id}/rewardlog").json()
    assert len(rewards) == 1 + (answer.status_code == 200)


def test_another_owners_experiment_cannot_be_opened(attacker: Researcher, surroundings: Surroundings) -> None:
    for use in ("get_theta()", "set_theta({})", "run_action_code({})"):
        experiment = attacker.create(get_action=f"Experiment('{surroundings.bystander.id}').{use}")
        assert experiment.get_action().status_code == 500
    surroundings.assert_untouched()


def memory_mb(server: Server) -> int:
    """The most memory that the server's process ever had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    assert found
    return int(found[1]) >> 10


ITEMS = [Item(0, 1, {}, {}, {}), Item(1, 2, {}, {}, {})]
HONEST = [
    Done(0, {"a": [1.5, None]}, [Entry("e", "_theta", "k", None, encode({"n": 1}))], [{"x": 1}], [], ["e"]),
    Missed(1, [("e", "_theta", "k", "v")], [("e", "_theta", None)], ["f"]),
]


def read(payload: bytes) -> list[reply_validation.Outcome | Missed]:
    return asyncio.run(reply_validation.read(payload, ITEMS, {"e"}))


def reply(*outcomes: Done | Failed | Missed | PutOff) -> bytes:
    return encode(["Reply", outcomes])


def test_an_honest_answer_comes_through_as_it_was() -> None:
    assert read(reply(*HONEST)) == HONEST


def test_an_answer_that_is_long_but_within_bounds_comes_through() -> None:
    long = Done(0, {"a": "x" * 200_000}, [Entry("e", "n", None, None, encode({"x": [0.5] * 150_000}))], [], [], ["e"])

    assert read(reply(long, PutOff(1))) == [long, PutOff(1)]


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_forged(payload: bytes) -> None:
    with pytest.raises(reply_validation.Forged):
        read(payload)


@settings(max_examples=500)
@given(st.data())
def test_a_damaged_answer_is_an_answer_or_forged(data: st.DataObject) -> None:
    payload = bytearray(reply(*HONEST))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        outcomes = read(bytes(payload))
    except reply_validation.Forged:
        return
    assert [outcome.number for outcome in outcomes] == [0, 1]
