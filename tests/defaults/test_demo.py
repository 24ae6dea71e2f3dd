"""``thetaloop demo``: every ready-made experiment with some visits, and commands that work as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from app.services.catalogue import Catalogue
from tests.servers import ROOT, Server, settings_for


@pytest.mark.slow
def test_the_demo_has_them_all_even_if_it_was_killed_and_starts_again_as_it_was(
    mongo: str, alone: Database[dict[str, Any]], tmp_path: Path
) -> None:
    server = Server(tmp_path, settings_for(mongo, alone.name), command="demo")
    command = [sys.executable, "-m", "app", "demo"]
    with subprocess.Popen(command, env=server.environment, cwd=ROOT, stdout=subprocess.DEVNULL) as first:
        while alone.rewards.count_documents({}) < 300:
            assert first.poll() is None
            time.sleep(0.02)
        first.kill()
    assert alone.rewards.count_documents({}) < 40 * len(Catalogue().all())
    with server, server.client() as client:
        server.wait_until(lambda: any(line.startswith("come from") for line in server.output))
        printed = "".join(server.output)
        (password,) = re.findall("sign in as demo with the password (.+)", printed)
        assert client.post("/login", json={"username": "demo", "password": password}).status_code == 200

        experiments = client.get("/exp").json()
        assert {each["name"] for each in experiments.values()} == {default.title for default in Catalogue().all()}
        for exp_id in experiments:
            summary = client.get(f"/stats/{exp_id}/summary").json()
            assert summary["set_reward_calls"] in (40, 200)
            # The visits that were under way at the kill have no reward.
            assert 0 <= summary["get_action_calls"] - summary["set_reward_calls"] <= 20
            assert client.get(f"/stats/{exp_id}/errors").json() == []

        calls = re.findall("curl '(.*)'", printed)
        assert len(calls) == 6
        assert [httpx.get(url).status_code for url in calls] == [200] * 6

        server.stop()
        server.output.clear()
        server.restart()
        server.wait_until(lambda: any(line.startswith("come from") for line in server.output))
        assert f"the password {password}\n" in "".join(server.output)
        assert client.get("/exp").json() == experiments
