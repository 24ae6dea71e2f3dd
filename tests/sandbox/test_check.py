"""Mistakes that are found before a script runs: over HTTP, on the command line, and not when an experiment is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.servers import Researcher, Server

DEFAULTS = Path(__file__).parents[2] / "defaults"

FINDINGS = [
    ("get_context", "x = (", 1, 5, "'(' was never closed", "error"),
    ("get_context", "if 1:\nx", 2, 1, "expected an indented block after 'if' statement on line 1", "error"),
    ("get_context", "x = 1\ny = nmpy.zeros(3)", 2, 5, "name 'nmpy' is not defined", "error"),
    ("get_context", "def f():\n    return late\nf()", 2, 12, "name 'late' is not defined", "error"),
    (
        "set_reward",
        "import os",
        1,
        1,
        "scripts cannot import 'os': numpy, scipy.special, policies and pure standard modules only",
        "error",
    ),
    (
        "set_reward",
        "if 1:\n  from ..app import config",
        2,
        3,
        "scripts cannot import '..app': numpy, scipy.special, policies and pure standard modules only",
        "error",
    ),
    ("get_action", "x = self.context", 1, 1, "self.action is never filled, so every answer will be empty", "warning"),
    ("get_action", "\0", 1, 1, "source code string cannot contain null bytes", "error"),
    ("get_reward", "x = open('f')", 1, 5, "name 'open' is not defined (not available in scripts)", "error"),
]
SOUND = [
    "self.action['a'] = 1",
    "def fill(action): action['a'] = Experiment('x').exp_id\nfill(self.action)",
    "from math import *\nself.action = {'a': sin(1), 'np': np.pi, 'lm': lm.LM({})}",
    "import json, collections.abc\nfrom policies.base import Mean\nself.action['a'] = [y for y in range(3)]",
    "exec('late = 1')\nself.action['a'] = late",
    "try:\n    pass\nexcept ValueError as error:\n    raise error\nself.action |= {'a': __name__}",
    "class A:\n    b = 1\n    c = b\n    def d(self): return __class__\nself.action['a'] = A.c",
    "def f():\n    global g\n    g = 1\nf()\nself.action['a'] = g",
    "",
]


def check(researcher: Researcher, **scripts: str) -> list[dict[str, Any]]:
    answer = researcher.http.post("/exp/check", json={"scripts": scripts})
    assert answer.status_code == 200, answer.text
    errors: list[dict[str, Any]] = answer.json()["errors"]
    return errors


@pytest.mark.parametrize(("script", "source", "line", "column", "message", "severity"), FINDINGS)
def test_a_mistake_is_named_with_its_place(
    script: str, source: str, line: int, column: int, message: str, severity: str, researcher: Researcher
) -> None:
    found = check(researcher, **{script: source})

    assert found == [{"script": script, "line": line, "column": column, "message": message, "severity": severity}]


@pytest.mark.parametrize("source", SOUND)
def test_a_sound_script_has_no_mistakes(source: str, researcher: Researcher) -> None:
    assert check(researcher, get_action=source) == []


def test_only_what_does_not_compile_keeps_an_experiment_from_being_made(researcher: Researcher) -> None:
    for number, (script, source, line, *_) in enumerate(FINDINGS):
        answer = researcher.http.post("/exp", json={"name": f"made {number}", script: source})
        if number in (0, 1, 7):
            assert answer.status_code == 400
            assert answer.json()["error"]["detail"]["line"] == line
        else:
            assert answer.status_code == 200


def test_a_script_that_hangs_the_check_is_refused_and_the_next_is_checked(researcher: Researcher) -> None:
    slow = "x = " + "+".join(["(1,) * 255" for _ in range(10_000)])
    answer = researcher.http.post("/exp/check", json={"scripts": {"get_action": slow}})

    assert answer.status_code == 200
    assert check(researcher, get_action="self.action['a'] = 1") == []


def test_the_ready_made_experiments_have_no_mistakes(server: Server, researcher: Researcher) -> None:
    folders = sorted(path.parent for path in DEFAULTS.glob("*/experiment.yml"))
    for folder in folders:
        assert check(researcher, **{path.stem: path.read_text() for path in folder.glob("*.py")}) == [], folder
    assert server.run("check", str(folders[0])) == ""


def test_the_command_line_names_file_line_and_column(server: Server, tmp_path: Path) -> None:
    for name in ("get_context", "get_reward", "set_reward"):
        (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "get_action.py").write_text("x = 1\nself.action['a'] = y\n")

    said = server.run("check", str(tmp_path), code=1)
    assert said == f"{tmp_path}/get_action.py:2:20: error: name 'y' is not defined\n"

    (tmp_path / "get_action.py").write_text("x = self.context\n")
    assert "1:1: warning: self.action is never filled" in server.run("check", str(tmp_path))

    (tmp_path / "get_action.py").unlink()
    assert "get_action.py:1:1: error: cannot be read" in server.run("check", str(tmp_path), code=1)
    server.run("check", str(tmp_path / "nowhere"), code=2)
