"""Scripts that loop, crash and hoard harm nobody: not other experiments, not the calls beside them, not the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.load import Answer, Load, hammer, path
from tests.servers import COUNTING, Experiment, Researcher, Server

# sandbox.call_seconds is 0.5 s; the second that the server grants a hung worker comes on top. Tenfold slack.
LIMIT_SECONDS = 10 * 0.5
KILL_SECONDS = 10 * 1.5

HARMS = {
    "loops for ever": "while True:\n    pass",
    "swallows the alarm": "while True:\n    try:\n        while 1: pass\n    except BaseException: pass",
    "loops in C": "sum(range(10**12))",
    "raises": "raise ValueError('no')",
    "exits": "raise SystemExit(0)",
    "ends its process": "random._os._exit(3)",
    "kills its process": "random._os.kill(random._os.getpid(), 9)",
    "hoards memory": "hoard = []\nwhile True:\n    hoard.append(bytearray(10**7))",
    "asks for too much memory": "hoard = bytearray(10**12)",
    "recurses": "def again():\n    again()\nagain()",
    "writes to the channel": "random._os.write(3, b'x' * 100)\nself.action['x'] = 1",
    "closes the channel": "random._os.close(3)\nself.action['x'] = 1",
    "returns a set": "self.action['names'] = {1, 2}",
    "returns no dict": "self.action = [1]",
    "returns infinity": "self.action['x'] = float('inf')",
    "returns a huge number": "self.action['x'] = 2**64",
    "returns a surrogate": "self.action['x'] = chr(0xd800)",
    "returns itself": "self.action['me'] = self.action",
    "returns too much": "self.action['x'] = 'x' * 300_000",
    "asks for a surrogate": "self.get_theta('k', chr(0xd800))",
}


def when(condition: str, harm: str) -> str:
    """A script that does harm for some calls only."""
    return f"if {condition}:\n" + "\n".join("    " + line for line in harm.splitlines())


def assert_clean(answer: Answer, script: str = "get_action") -> None:
    """A 500 that tells the caller nothing but which script it was."""
    assert answer.status == 500
    assert answer.json == {
        "error": {"code": 500, "message": f"the script {script} of this experiment failed", "detail": {}}
    }


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS.keys())
def test_a_harmful_call_fails_cleanly_and_its_neighbours_are_answered(researcher: Researcher, harm: str) -> None:
    experiment = researcher.create(get_action=when("self.context['bad']", harm) + "\nself.action['fine'] = 1")
    calls = [
        path("getaction", experiment.id, experiment.key, context={"bad": number == 3, "number": number})
        for number in range(12)
    ]
    answers = hammer([str(researcher.http.base_url)], calls, clients=len(calls))
    bad = answers.pop(3)
    assert_clean(bad)
    assert bad.seconds < KILL_SECONDS
    assert {answer.status for answer in answers} == {200}
    assert all(answer.json == {"action": {"fine": 1}} for answer in answers)


@pytest.mark.parametrize("harm", ["loops for ever", "loops in C", "raises", "ends its process", "hoards memory"])
def test_a_harmful_reward_counts_nothing_and_its_neighbours_count(
    researcher: Researcher, database: Database[dict[str, Any]], harm: str
) -> None:
    """What it wrote and logged before it did harm goes with it."""
    update = COUNTING["set_reward"] + "self.log_data({'r': self.reward['r']})\n"
    experiment = researcher.create(set_reward=update + when("self.reward['r'] % 5 == 3", HARMS[harm]))
    calls = [
        path("setreward", experiment.id, experiment.key, action={"arm": "a"}, reward={"r": number})
        for number in range(10)
    ]
    answers = hammer([str(researcher.http.base_url)], calls, clients=len(calls))
    for number, answer in enumerate(answers):
        if number % 5 == 3:
            assert_clean(answer, "set_reward")
        else:
            assert answer.json == {"status": "success"}
    assert experiment.theta() == {"arm:a": {"n": 8}}
    assert database.rewards.count_documents({"exp_id": experiment.id}) == 8
    logged = [row["data"]["r"] for row in database.logs.find({"exp_id": experiment.id})]
    assert sorted(logged) == [0, 1, 2, 4, 5, 6, 7, 9]


def test_an_endless_loop_answers_within_its_limit_while_other_experiments_go_on(researcher: Researcher) -> None:
    endless = researcher.create(get_action="while True:\n    pass")
    lively = researcher.create(**COUNTING)
    url = str(researcher.http.base_url)

    async def whole() -> tuple[list[Answer], list[Answer]]:
        looping = asyncio.create_task(Load([url], [path("getaction", endless.id, endless.key)] * 3, 1).run())
        answers: list[Answer] = []
        while not looping.done():
            answers += await Load([url], [path("getaction", lively.id, lively.key)] * 20, 4).run()
        return await looping, answers

    stuck, others = asyncio.run(whole())
    for answer in stuck:
        assert_clean(answer)
        assert answer.seconds < LIMIT_SECONDS
    assert len(others) > 60
    assert {answer.status for answer in others} == {200}
    # Were they served by turns with the loop, each would wait for it.
    assert sorted(answer.seconds for answer in others)[len(others) // 2] < 0.5


def test_the_owner_reads_what_went_wrong_and_where(researcher: Researcher) -> None:
    experiment = researcher.create(get_action="x = 1\nself.action['y'] = x / self.context['z']")
    assert_clean(Answer(500, experiment.get_action(context={"z": 0}).content))
    row = errors_of(experiment)[0]
    assert (row["script"], row["line"], row["message"]) == ("get_action", 2, "ZeroDivisionError: division by zero")
    assert row["source"] == "self.action['y'] = x / self.context['z']"
    assert "Traceback" not in str(row)


def errors_of(experiment: Experiment) -> list[dict[str, Any]]:
    """The error rows, which are stored beside the way of the call: ask until one is there."""
    for _ in range(200):
        rows: list[dict[str, Any]] = experiment.http.get(f"/stats/{experiment.id}/errors").json()
        if rows:
            return rows
    raise AssertionError("no error row came")


@pytest.mark.slow
def test_the_server_is_as_before_after_everything_at_once(start: Callable[..., Server]) -> None:
    """All harms in one server with few workers; then a well-behaved experiment works."""
    server = start(**{"sandbox.max_workers": 3})
    with server.researcher() as researcher:
        harmful = [researcher.create(get_action=harm) for harm in HARMS.values()]
        hammer([server.url], [path("getaction", each.id, each.key) for each in harmful] * 2, clients=64)
        experiment = researcher.create(**COUNTING)
        answers = hammer([server.url], [path("getaction", experiment.id, experiment.key)] * 50, clients=10)
        assert {answer.status for answer in answers} == {200}
        assert server.process.poll() is None
    assert "Traceback" not in server.errors()
