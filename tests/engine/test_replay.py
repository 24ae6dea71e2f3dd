"""The logs are enough: theta and every decision can be computed again from them, to the last bit."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from app.sandbox.host import reply_validation
from app.sandbox.host.pool import Pool
from app.sandbox.host.zygote_client import Zygote
from app.sandbox.protocol import Done, Item, RunScript, encode
from tests.load import hammer, path
from tests.servers import Experiment, Server

ROUNDS = 10
AT_ONCE = 25
SECONDS = 5.0


def learning(policy: str) -> dict[str, Any]:
    """A policy that learns by advices, its whole theta in one place."""
    return {
        "get_action": (
            f"policy, features = {policy}, [1, self.context['x'], self.context['y']]\n"
            "self.action['arm'], self.action['propensity'] = policy.pull(features)\n"
            "self.action['noise'] = float(np.random.rand())\n"
        ),
        "set_reward": (
            f"policy, features = {policy}, [1, self.context['x'], self.context['y']]\n"
            "policy.update(self.action['arm'], self.reward['value'], features, self.action['propensity'])\n"
            "self.set_theta(policy)\n"
        ),
        "advice_id": True,
        "delta_hours": 0,
        "default_reward": {},
    }


POLICIES = {
    "epsilon-greedy": learning("greedy.EpsilonGreedy(self.get_theta(), ['a', 'b', 'c'], epsilon=.3)"),
    "Thompson": learning("thompson.BernoulliThompson(self.get_theta(), ['a', 'b', 'c'])"),
    "bootstrapped": learning("bts.BootstrappedThompson(self.get_theta(), ['a', 'b', 'c'], m=20)"),
    "linear Thompson": learning("linear.LinearThompson(self.get_theta(), ['a', 'b'])"),
}


def drive(servers: list[Server], experiment: Experiment, rng: random.Random) -> None:
    """Decisions and rewards under way at once on both servers."""
    urls = [server.url for server in servers]
    rewards: list[str] = []
    for _ in range(ROUNDS):
        context = {"x": rng.random(), "y": rng.random()}
        actions = [path("getaction", experiment.id, experiment.key, context=context)] * AT_ONCE
        sent = [*actions, *rewards]
        rng.shuffle(sent)
        answers = hammer(urls, sent, clients=16)
        assert {answer.status for answer in answers} == {200}
        given = [answer.json for answer in answers if "advice_id" in answer.json]
        rewards = [
            path(
                "setreward",
                experiment.id,
                experiment.key,
                advice_id=each["advice_id"],
                reward={"value": rng.randrange(2)},
            )
            for each in given
        ]


async def replayed(experiment: Experiment, scripts: dict[str, str]) -> tuple[list[dict[str, Any]], list[Any]]:
    """The decisions of the log and the actions that the rows give again, with theta folded from the reward log."""
    decisions: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in experiment.stats("actionlog"):
        decisions[row["seq"]].append(row)
    rewards = {row["seq"]: row for row in experiment.stats("rewardlog")}
    again: list[tuple[dict[str, Any], Any]] = []
    pool = Pool(Zygote(512), 1)
    await pool.start()
    try:
        async with pool.lease("replay") as worker:

            async def run(script: str, rows: list[dict[str, Any]], keep: bool = False) -> list[Any]:
                items = [
                    Item(number, row["seed"], row["context"], row.get("action", {}), row.get("reward", {}))
                    for number, row in enumerate(rows)
                ]
                request = RunScript(experiment.id, script, items, SECONDS, keep, settle="promote", **first)
                first.clear()
                outcomes = await reply_validation.read(
                    await worker.request(encode(request), 60), items, {experiment.id}
                )
                assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
                return outcomes

            first: dict[str, Any] = {
                "programs": {experiment.id: scripts},
                "complete": [(experiment.id, "_theta", None)],
            }
            for seq in range(max(decisions | rewards) + 1):
                if seq in rewards:
                    await run("set_reward", [rewards[seq]], keep=True)
                if decisions[seq]:
                    outcomes = await run("get_action", [{**row, "action": {}} for row in decisions[seq]])
                    again += zip(decisions[seq], (outcome.result for outcome in outcomes), strict=True)
    finally:
        await pool.stop()
    return [row for row, _ in again], [result for _, result in again]


# All of them, but one quickly.
@pytest.mark.parametrize(
    "name", ["Thompson", *(pytest.param(name, marks=pytest.mark.slow) for name in POLICIES if name != "Thompson")]
)
def test_decisions_taken_under_load_on_two_servers_are_made_again_from_their_rows(
    start: Callable[..., Server], name: str
) -> None:
    servers = [start(), start()]
    with servers[0].researcher() as researcher:
        scripts = POLICIES[name]
        experiment = researcher.create(**scripts)
        drive(servers, experiment, random.Random(7))
        texts = {
            script: scripts.get(script, "") for script in ("get_context", "get_action", "get_reward", "set_reward")
        }
        rows, again = asyncio.run(replayed(experiment, texts))
        assert len(rows) == ROUNDS * AT_ONCE
        assert [row["action"] for row in rows] == again
        assert [row["propensity"] for row in rows] == [action["propensity"] for action in again]
        assert len({row["seq"] for row in rows}) > ROUNDS  # theta did move between them
