"""Workers and the zygote die or misbehave, and the server recovers: innocents are answered, nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.sandbox.attacks import forgery, scripts
from tests.servers import COUNTING, Experiment, Researcher, Server

SLOW = {**COUNTING, "get_action": "import time\ntime.sleep(0.2)\nself.action['arm'] = 'a'"}


def zygote_of(server: Server) -> int:
    """The server's one child that is the zygote."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    found = [pid for pid in children if b"app.sandbox.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(found) == 1
    return int(found[0])


def workers_of(server: Server) -> set[int]:
    """The zygote's children, without the one that holds its world of processes open."""
    zygote = zygote_of(server)
    return set(map(int, Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()[1:]))


def rewarded(experiment: Experiment, count: int) -> None:
    """The server has acknowledged so many rewards; they must be there."""
    assert sum(theta["n"] for theta in experiment.theta().values()) == count
    assert experiment.summary()["set_reward_calls"] == count


def learn(experiment: Experiment, times: int) -> None:
    for _ in range(times):
        answer = experiment.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
        assert answer.json() == {"status": "success"}


def test_the_zygote_is_killed_between_calls(researcher: Researcher, server: Server) -> None:
    experiment = researcher.create(**COUNTING)
    learn(experiment, 3)
    dead = zygote_of(server)

    os.kill(dead, signal.SIGKILL)
    learn(experiment, 3)

    assert experiment.get_action().status_code == 200
    assert zygote_of(server) != dead
    rewarded(experiment, 6)


def test_the_zygote_is_killed_during_calls(researcher: Researcher, server: Server) -> None:
    experiments = [researcher.create(**SLOW) for _ in range(3)]
    with ThreadPoolExecutor(6) as threads:
        answers = [threads.submit(each.get_action) for each in experiments for _ in range(2)]
        await_busy(server, 3)
        os.kill(zygote_of(server), signal.SIGKILL)

        assert [answer.result().status_code for answer in answers] == [200] * 6


def test_every_worker_is_killed_between_and_during_calls(researcher: Researcher, server: Server) -> None:
    experiment, slow = researcher.create(**COUNTING), researcher.create(**SLOW)
    learn(experiment, 3)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(slow.get_action)
        await_busy(server, 1)
        for pid in workers_of(server):
            os.kill(pid, signal.SIGKILL)

        learn(experiment, 3)
        assert answer.result().status_code == 200
    rewarded(experiment, 6)


@pytest.mark.parametrize("name", ["garbage", "twice", "another_frame"])
def test_a_worker_that_answers_garbage_is_replaced(name: str, researcher: Researcher, server: Server) -> None:
    experiment, other = researcher.create(**scripts(forgery(name))), researcher.create(**COUNTING)
    learn(other, 1)

    experiment.get_action(context={"bystander": other.id})

    assert experiment.get_action(context={"calm": True}).json() == {"action": {"calm": True}}
    learn(other, 1)
    rewarded(other, 2)


@pytest.mark.parametrize("harm", ["any(__import__('itertools').repeat(0))", "random._os._exit(1)", "1 / 0"])
def test_one_of_32_items_in_a_frame_does_harm(harm: str, researcher: Researcher) -> None:
    learns = "self.set_theta({'n': self.get_theta('k', 'v').get('n', 0) + 1}, 'k', 'v')"
    experiment = researcher.create(set_reward=f"if self.reward['number'] == 17:\n    {harm}\n{learns}")
    items = [{"context": {}, "action": {}, "reward": {"number": number}} for number in range(32)]

    answer = researcher.http.post(f"/setreward/{experiment.id}/batch", json={"key": experiment.key, "items": items})

    guilty = answer.json()["items"].pop(17)
    assert guilty["error"]["code"] == 500
    assert answer.json()["items"][:17] == [{"status": "success"}] * 17
    assert all(item == {"status": "success"} for number, item in enumerate(answer.json()["items"]) if number != 17)
    assert experiment.theta() == {"k:v": {"n": 31}}
    assert len(researcher.http.get(f"/stats/{experiment.id}/rewardlog?limit=100").json()) == 31


def await_busy(server: Server, count: int) -> None:
    """Until so many workers sleep in a script, which the kernel shows; a thread of ours waits for their answers."""
    end = time.monotonic() + 20
    while sum(is_asleep(pid) for pid in workers_of(server)) < count:
        assert time.monotonic() < end
        time.sleep(0.005)


def is_asleep(pid: int) -> bool:
    try:
        return "nanosleep" in Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return False
