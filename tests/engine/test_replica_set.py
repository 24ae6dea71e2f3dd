"""A replica set of three loses its primary under load: the servers find the next one, and nothing is lost or twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.engine.test_exactly_once import ADVISED
from tests.engine.test_kills import Kill, check_visits
from tests.load import Visitors, path
from tests.replica_set import ReplicaSet
from tests.servers import Experiment, Server, settings_for

# From the harm until every server answers again; an election begins when the primary was silent for ten seconds.
RECOVERY_SECONDS = 20.0

pytestmark = pytest.mark.slow
Harm = Callable[[ReplicaSet], float]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    with ReplicaSet(tmp_path_factory.mktemp("three")) as running:
        yield running


def kill_primary(members: ReplicaSet) -> float:
    """SIGKILL it; the one killed before is back by now. When that was."""
    with members.primary_ahead() as primary:
        primary.kill()
        return time.monotonic()


def hold_up_primary(members: ReplicaSet) -> float:
    """Stop it in the middle of everything until another one is elected; then it goes on as if it still were primary."""
    with members.primary_ahead() as primary:
        primary.pause()
        began = time.monotonic()
    try:
        members.wait_for(lambda: any(member.leads for member in members.members if member is not primary))
    finally:
        primary.go_on()
    return began


def ask_primary_to_step_down(members: ReplicaSet) -> float:
    """Let another one take over."""
    members.step_down()
    return time.monotonic()


@pytest.mark.parametrize(
    ("harm", "times"),
    [(kill_primary, 2), (hold_up_primary, 1), (ask_primary_to_step_down, 5)],
    ids=["killed", "held up", "stepping down"],
)
def test_servers_go_on_with_the_next_primary_and_nothing_is_lost_or_counts_twice(
    members: ReplicaSet, tmp_path: Path, harm: Harm, times: int
) -> None:
    settings = settings_for(members.uri, f"test_{harm.__name__}")
    with Server(tmp_path / "one", settings) as one, Server(tmp_path / "two", settings) as two:
        servers = one, two
        with one.researcher() as researcher:
            experiment = researcher.create(**ADVISED)
            visitors = Visitors([server.url for server in servers], experiment.id, experiment.key, seed=3)
            lasted: list[float] = []
            numbers = count(1)

            def strike(_: Server) -> None:
                began = harm(members)
                for server in servers:
                    until_answered(server, experiment, numbers)
                lasted.append(time.monotonic() - began)
                members.restart()

            strikes: list[tuple[Kill, Server]] = [(strike, one)] * times
            check_visits(servers, experiment, visitors, strikes, seed=4)
        assert max(lasted) < RECOVERY_SECONDS, lasted
        assert [server.process.poll() for server in servers] == [None, None]
        assert [server.errors().count("Traceback") for server in servers] == [0, 0], one.errors() + two.errors()


def until_answered(server: Server, experiment: Experiment, numbers: Iterator[int]) -> None:
    """Call until there is a decision."""
    with server.client() as client:
        asked = (path("getaction", experiment.id, experiment.key, context={"i": -number}) for number in numbers)
        assert any(client.get(each).status_code == 200 for each in asked)
