"""A server that is killed in the middle of a commit keeps nobody from the experiment."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.servers import COUNTING, ROOT, Server

KILLED = """
import asyncio, os, signal, time
from app.storage.client import connect
from app.storage.heads import HeadMove, Heads
from app.storage.transactions import Transactions

async def commit():
    connection = connect({uri!r}, {database!r})
    heads = Heads(connection)
    async def body(session):
        await heads.advance([HeadMove((await heads.find([{exp_id!r}]))[{exp_id!r}], 1)], session)
        os.kill(os.getpid(), signal.SIGKILL)
    await Transactions(connection.db.client).attempt(body, time.monotonic() + 60)

asyncio.run(commit())
"""


@pytest.mark.slow
def test_the_transaction_of_a_killed_server_is_ended_before_calls_give_up(start: Callable[..., Server]) -> None:
    server = start()
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        given = {"uri": server.mongo_uri, "database": server.database, "exp_id": experiment.id}
        killed = subprocess.run([sys.executable, "-c", KILLED.format(**given)], cwd=ROOT, check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        answer = experiment.set_reward(context={}, action={"arm": "a"}, reward={"value": 1})
        assert answer.json() == {"status": "success"}
        assert experiment.theta() == {"arm:a": {"n": 1}}
