"""What the server lets wait and keeps in memory has bounds; beyond them it says so, and goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from tests.load import Load, hammer, path
from tests.servers import COUNTING, Server

SLOW = {"get_action": "sum(range(200_000))"}
LARGE = COUNTING | {
    "set_reward": (
        "theta = self.get_theta('all') or {'n': 0}\n"
        "self.set_theta({'n': theta['n'] + 1, 'ballast': 'x' * 600_000}, 'all')\n"
    )
}


def test_more_calls_than_may_wait_are_told_to_come_back(start: Callable[..., Server]) -> None:
    server = start(**{"engine.queue_calls": 5, "engine.batch_calls": 1})
    with server.researcher() as researcher:
        experiment = researcher.create(**SLOW)
        paths = [path("getaction", experiment.id, experiment.key)] * 400
        answers = Counter(answer.status for answer in asyncio.run(Load([server.url], paths, clients=40).run()))
        assert set(answers) == {200, 503}
        assert experiment.get_action().status_code == 200
        assert len(experiment.stats("actionlog")) == answers[200] + 1


def test_waiting_calls_are_bounded_by_bytes_too(start: Callable[..., Server]) -> None:
    server = start(**{"engine.queue_mb": 1, "engine.batch_calls": 1})
    with server.researcher() as researcher:
        experiment = researcher.create(**SLOW)
        items = [{"context": {"text": "x" * 50_000}} for _ in range(60)]
        answers = experiment.post("getaction", "batch", items=items).json()["items"]
        codes = Counter(answer.get("error", {}).get("code", 200) for answer in answers)
        assert set(codes) == {200, 503}
        assert 18 <= codes[200] <= 25  # a MiB holds twenty of them
        refused = next(answer["error"] for answer in answers if "error" in answer)
        assert refused["message"] == "too many calls are waiting; try again in a moment"


def test_experiments_that_together_exceed_the_cache_stay_exact(start: Callable[..., Server]) -> None:
    server = start(**{"theta.cache_mb": 1})
    with server.researcher() as researcher:
        experiments = [researcher.create(**LARGE) for _ in range(4)]
        paths = [
            path("setreward", experiment.id, experiment.key, context={}, action={"arm": "a"}, reward={})
            for _ in range(15)
            for experiment in experiments
        ]
        assert {answer.status for answer in hammer([server.url], paths, clients=8)} == {200}
        for experiment in experiments:
            assert experiment.theta()["all"]["n"] == 15
