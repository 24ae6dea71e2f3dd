"""What attacks over HTTP aim at, and how to see that none of it was hit."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import COUNTING, SECRET, Experiment, Server

NOBODY = 65534
# The limit of one call is half a second, and its worker is killed within two; the rest is slack.
PATIENCE = 20
MARK = "bystander-mark"


class Surroundings:
    """All that attacks aim at, and whether it is as it was."""

    def __init__(self, server: Server) -> None:
        self.server = server
        # Not pytest's own folder, which other accounts cannot reach.
        self.temporary = tempfile.TemporaryDirectory()
        folder = Path(self.temporary.name)
        folder.chmod(0o777)
        self.folder = folder / "all-may-write"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        self.file = folder / "secret"
        self.file.write_text("the canary\n")
        self.file.chmod(0o666)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract_name = "thetaloop-" + secrets.token_hex(8)
        self.abstract.bind("\0" + self.abstract_name)
        self.abstract.listen()
        identity = {"user": NOBODY} if os.geteuid() == 0 else {}
        self.victim = subprocess.Popen(["cat"], stdin=subprocess.PIPE, **identity)
        self.bystander = self._learned_experiment()

    def _learned_experiment(self) -> Experiment:
        self.owner = self.server.researcher()
        bystander = self.owner.create(**COUNTING)
        answer = bystander.set_reward(context={}, action={"arm": MARK}, reward={"value": 1})
        assert answer.json() == {"status": "success"}
        self.theta = bystander.theta()
        return bystander

    def __enter__(self) -> Surroundings:
        return self

    def __exit__(self, *exc: object) -> None:
        for open_ in (self.listener, self.abstract, self.owner.http):
            open_.close()
        assert self.victim.stdin is not None
        self.victim.stdin.close()
        self.victim.wait(PATIENCE)
        self.temporary.cleanup()

    @property
    def context(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "folder": str(self.folder),
            "port": self.listener.getsockname()[1],
            "abstract": self.abstract_name,
            "victim": self.victim.pid,
            "server": self.server.process.pid,
            "bystander": self.bystander.id,
        }

    def assert_untouched(self) -> None:
        assert self.file.read_text() == "the canary\n"
        assert os.listdir(self.folder) == []
        for listener in (self.listener, self.abstract):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
        assert self.victim.poll() is None
        assert self.server.process.poll() is None
        assert self.bystander.theta() == self.theta
        assert self.bystander.get_action().status_code == 200


def assert_clean(answer: httpx.Response) -> dict[str, Any]:
    """A harmless answer, or an error in words; none that shows anything of the server's."""
    assert answer.status_code in (200, 500), answer.text
    for secret in ("Traceback", SECRET, "mongodb://", MARK, "the canary"):
        assert secret not in answer.text
    body: dict[str, Any] = answer.json()
    if answer.status_code == 500:
        assert body["error"]["message"] == "the script get_action of this experiment failed"
        return {}
    action: dict[str, Any] = body["action"]
    assert "got" not in action
    return action
