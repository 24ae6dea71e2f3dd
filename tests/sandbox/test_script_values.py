"""What scripts may leave in theta and in actions: finite numbers, probabilities, long names, any key; and ``print``."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from app.sandbox.host.reply_validation import read
from app.sandbox.protocol import (
    ITEM_VALUES,
    NAME_LIMIT,
    PRINT_LIMIT,
    Done,
    Entry,
    Failed,
    Item,
    Missed,
    PutOff,
    RunScript,
    encode,
)
from tests.sandbox.direct import pool

Outcome = Done | Failed | Missed | PutOff


def run(source: str, script: str = "set_reward", theta: dict[str, Any] | None = None) -> Outcome:
    """What comes of one script in a worker that holds ``theta`` under no key."""

    async def outcome() -> Outcome:
        items = [Item(0, 1, {}, {}, {"value": 1})]
        held = [] if theta is None else [Entry("e", "_theta", None, None, msgspec.msgpack.encode(theta))]
        whole = [("e", "_theta", None)]
        frame = RunScript("e", script, items, 60, programs={"e": {script: source}}, thetas=held, complete=whole)
        async with pool() as workers, workers.lease("e") as worker:
            return (await read(await worker.request(encode(frame), 60), items, {"e"}))[0]

    return asyncio.run(outcome())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("self.set_theta({'m': np.inf})", "set_theta: m is not a finite number"),
        ("self.set_theta({'a': {'b': [1.0, math.nan]}})", "set_theta: a.b[1] is not a finite number"),
        ("self.set_theta({'x': np.array([1, np.nan])})", "set_theta: x[1] is not a finite number"),
        ("self.set_theta({'m': -np.inf}, key='arm', value='a')", "set_theta: m is not a finite number"),
    ],
)
def test_a_number_that_is_not_finite_never_enters_theta(source: str, message: str) -> None:
    outcome = run("self.set_theta({'n': 1}, key='other')\n" + source)
    assert isinstance(outcome, Failed)  # and so nothing is written, of the other theta neither
    assert outcome.message == message
    assert outcome.line == 2


def test_a_theta_that_holds_one_already_is_read_and_repaired() -> None:
    repair = (
        "theta = self.get_theta()\n"
        "self.debug([str(theta['m']), theta['n']])\n"
        "self.set_theta({name: value for name, value in theta.items() if np.isfinite(value)})\n"
    )
    outcome = run(repair, theta={"m": float("nan"), "n": 3})
    assert isinstance(outcome, Done)
    assert outcome.debug == [["nan", 3]]
    assert [msgspec.msgpack.decode(write.theta or b"") for write in outcome.writes] == [{"n": 3}]


@pytest.mark.parametrize("value", ["1.5", "-0.01", "50", "np.float64(3.33)"])
def test_a_propensity_that_is_no_probability_is_an_error(value: str) -> None:
    outcome = run(f"self.action['propensity'] = {value}", "get_action")
    assert isinstance(outcome, Failed)
    assert outcome.message.endswith("expected a probability from 0 to 1")
    assert "self.action['propensity'] is " in outcome.message


@pytest.mark.parametrize("value", ["0", "1", "0.25", "None", "True", "'a half'"])
def test_other_propensities_are_as_before(value: str) -> None:
    assert isinstance(run(f"self.action['propensity'] = {value}", "get_action"), Done)


@pytest.mark.parametrize("value", ["np.longdouble(1) / 3", "[np.longdouble(1)]", "np.ones(2, np.longdouble)"])
def test_a_number_that_is_longer_than_a_float_is_named(value: str) -> None:
    outcome = run(f"self.action['v'] = {value}", "get_action")
    assert isinstance(outcome, Failed)
    assert outcome.message.startswith("self.action['v']")
    assert "is a longdouble, which JSON does not have" in outcome.message


def test_names_of_thetas_may_be_as_long_as_addresses_are() -> None:
    outcome = run(f"self.set_theta({{'n': 1}}, key='page', value='x' * {NAME_LIMIT})")
    assert isinstance(outcome, Done)
    assert outcome.writes[0].value == "x" * NAME_LIMIT
    refused = run(f"self.set_theta({{'n': 1}}, key='page', value='x' * {NAME_LIMIT + 1})")
    assert isinstance(refused, Failed)
    assert refused.message == f"set_theta: name, key and value must be text of at most {NAME_LIMIT:,} characters"


def test_a_theta_of_too_many_values_is_refused_where_it_is_set() -> None:
    outcome = run(f"self.set_theta({{'x': [1] * {ITEM_VALUES}}})")
    assert isinstance(outcome, Failed)
    assert outcome.message == f"set_theta: a theta may hold {ITEM_VALUES:,} values, this one has {ITEM_VALUES + 3:,}"
    assert outcome.line == 1
    assert isinstance(run(f"self.set_theta({{'x': [1] * {ITEM_VALUES // 2}}})"), Done)


@pytest.mark.parametrize("key", ["$5 off", "a.b", "nul\\0", "$", ""])
def test_any_key_may_stand_anywhere(key: str) -> None:
    inner = f"{{'{key}': [{{'{key}': 1}}]}}"
    outcome = run(f"self.set_theta({inner})\nself.log_data({inner})\nself.debug({inner})")
    assert isinstance(outcome, Done), outcome
    text = key.replace("\\0", "\0")
    expected = {text: [{text: 1}]}
    assert (outcome.logs, outcome.debug) == ([expected], [expected])
    assert msgspec.msgpack.decode(outcome.writes[0].theta or b"") == expected
    action = run(f"self.action = {inner}", "get_action")
    assert isinstance(action, Done)
    assert action.result == expected


def test_what_a_script_prints_is_kept_and_bounded() -> None:
    outcome = run("print('a', 1, sep='-', end='!\\n')\nprint()\nprint('half a pair: \\ud800')")
    assert isinstance(outcome, Done)
    assert outcome.printed == "a-1!\n\nhalf a pair: ?\n"
    long = run("for _ in range(100):\n    print('x' * 1000)")
    assert isinstance(long, Done)
    assert len(long.printed) == PRINT_LIMIT


def test_what_a_script_printed_before_it_failed_is_kept() -> None:
    for last in ("1 / 0", "while True: pass"):
        source = f"print('so far')\n{last}"

        async def outcome(source: str = source) -> Outcome:
            items = [Item(0, 1, {}, {}, {})]
            frame = RunScript("e", "get_action", items, 0.2, programs={"e": {"get_action": source}})
            async with pool() as workers, workers.lease("e") as worker:
                return (await read(await worker.request(encode(frame), 60), items, {"e"}))[0]

        found = asyncio.run(outcome())
        assert isinstance(found, Failed)
        assert found.printed == "so far\n"


def test_print_to_a_file_of_the_script_goes_there() -> None:
    outcome = run(
        "import array\nclass F:\n    t = ''\n    def write(self, s): F.t += s\nprint('x', file=F())\nself.debug(F.t)"
    )
    assert isinstance(outcome, Done)
    assert (outcome.debug, outcome.printed) == (["x\n"], "")
