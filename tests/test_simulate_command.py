"""``thetaloop simulate``: experiments in folders and ready-made ones, without a server or a database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import COUNTING, ROOT


def run(folder: Path, *arguments: object, code: int = 0, path: str = "") -> tuple[str, str]:
    """Run the command in a folder; what it printed and what it complained about."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("THETALOOP_")}
    done = subprocess.run(
        [sys.executable, "-m", "app", "simulate", *map(str, arguments)],
        cwd=folder,
        env=environment | {"PYTHONPATH": os.pathsep.join([*([path] if path else []), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment in a folder, without anything known about its rewards."""
    found = tmp_path / "mine"
    found.mkdir()
    for name, script in COUNTING.items():
        (found / f"{name}.py").write_text(script)
    return found


def test_a_ready_made_experiment_is_simulated_by_name_id_and_title(tmp_path: Path) -> None:
    said, _ = run(tmp_path, "e_greedy", "--n", 200, "--seed", 1)
    assert said.startswith("200 draws, seed 1\n\narm  pulls  share  ")
    assert "regret after 200 draws: " in said
    assert sum(int(line.split()[1]) for line in said.splitlines() if line[:2] in ("A ", "B ", "C ")) == 200
    assert run(tmp_path, 3, "--n", 200, "--seed", 1)[0] == run(tmp_path, "E-Greedy", "--n", 200, "--seed", 1)[0] == said
    assert list(tmp_path.iterdir()) == []


def test_repetitions_give_intervals_and_the_same_again(tmp_path: Path) -> None:
    arguments = ("e_greedy", "--n", 100, "--seed", 1, "--repeat", 3)
    said, _ = run(tmp_path, *arguments)
    assert "100 draws, seed 1, 3 repetitions" in said
    assert "95 % interval of the mean " in said
    assert "With fewer than 30 repetitions" in said
    assert run(tmp_path, *arguments)[0] == said


def test_more_repetitions_than_may_wait_for_a_process_are_made(tmp_path: Path) -> None:
    said, _ = run(tmp_path, "e_greedy", "--n", 5, "--seed", 1, "--repeat", 100)
    assert "5 draws, seed 1, 100 repetitions" in said
    assert "fewer than 30" not in said


def test_long_names_of_arms_are_told_apart(folder: Path) -> None:
    long = "A headline of more than a hundred characters " * 3
    (folder / "get_action.py").write_text(f"self.action['arm'] = {long!r} + random.choice(['one', 'two'])")
    said, _ = run(folder, ".", "--n", 200, "--seed", 1)
    assert [line.removeprefix(long).split()[0] for line in said.splitlines() if line.startswith(long)] == ["one", "two"]


def test_a_folder_is_simulated_and_its_draws_are_written(folder: Path, tmp_path: Path) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        said, _ = run(tmp_path, folder, "--n", 30, "--seed", 7, "--repeat", 2, "--out", name)
        assert "regret" not in said
    one = (tmp_path / "one.jsonl").read_bytes()
    assert one == (tmp_path / "two.jsonl").read_bytes()
    rows = [json.loads(line) for line in one.splitlines()]
    assert [(row["repetition"], row["draw"]) for row in rows] == [(r, n) for r in range(2) for n in range(30)]
    assert rows[0].keys() == {"repetition", "draw", "context", "action", "reward", "theta"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "one.jsonl", "two.jsonl"]


def test_scripts_call_ready_made_experiments_and_those_that_are_named(folder: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    scripts = {
        "get_context": "",
        "get_action": "self.action['rival'] = random.choice(['e_greedy', 'ours'])\n"
        "self.action['chosen'] = Experiment(self.action['rival']).run_action_code({})\n",
        "get_reward": "self.reward['value'] = 1",
        "set_reward": "Experiment(self.action['rival']).run_reward_code({}, self.action['chosen'], self.reward)\n"
        "self.set_theta({'n': sum(t['n'] for t in Experiment('e_greedy').get_theta('arm').values())})\n",
    }
    for name, script in scripts.items():
        (outer / f"{name}.py").write_text(script)
    run(tmp_path, outer, "--n", 60, "--seed", 2, "--with", f"ours={folder}", "--out", "draws.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "draws.jsonl").read_text().splitlines()]
    rivals = [row["action"]["rival"] for row in rows]
    assert rows[-1]["theta"] == {"n": rivals.count("e_greedy")}
    assert 0 < rivals.count("ours") < 60
    assert "no experiment 'ours'" in run(tmp_path, outer, "--seed", 2, code=1)[1]
    assert "ready-made experiment 'nothing'" in run(tmp_path, outer, "--with", "ours=nothing", code=1)[1]


def test_regret_that_cannot_be_told_says_why(folder: Path) -> None:
    about = folder / "experiment.yml"
    about.write_text("arms: [a, x]\nexpected_reward: {a: 0.5, y: 0.5}\n")
    assert "do not name the same arms" in run(folder, ".", "--n", 20, code=1)[1]
    about.write_text("arms: [a, x]\nexpected_reward: {a: 0.5, x: 0.5}\n")
    said, _ = run(folder, ".", "--n", 20, "--seed", 1)
    assert "regret" not in run(folder, "sliding_window_thompson", "--n", 20)[0]
    assert said.splitlines()[-1] == "no regret, as no expected_reward is given for the arm b"


@pytest.mark.parametrize("name", ["run.png", "run.svg"])
def test_a_picture_is_drawn(tmp_path: Path, name: str) -> None:
    run(tmp_path, "ab_test", "--n", 50, "--seed", 1, "--repeat", 2, "--plot", name)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    # A finder that knows no matplotlib, as where the extra was not installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'matplotlib' else find(name, *rest)\n"
    )
    _, complaint = run(tmp_path, "ab_test", "--plot", "x.png", code=1, path=str(tmp_path))
    assert "thetaloop[plot]" in complaint


def test_a_failing_draw_is_named_with_its_place(folder: Path) -> None:
    (folder / "set_reward.py").write_text("\nif len(self.get_theta('arm')) == 0:\n    1 / 0\n")
    _, complaint = run(folder, ".", "--seed", 1, code=1)
    assert "draw 0 failed in set_reward line 3: ZeroDivisionError" in complaint


def test_what_cannot_be_simulated_is_said(folder: Path, tmp_path: Path) -> None:
    assert "ready-made experiment 'nothing'" in run(tmp_path, "nothing", code=1)[1]
    (folder / "get_reward.py").write_text("if")
    assert "get_reward line 1" in run(tmp_path, folder, code=1)[1]
    (folder / "get_reward.py").write_text("")
    assert "get_reward.py" in run(tmp_path, folder, code=1)[1]
    (folder / "get_reward.py").unlink()
    assert "get_reward.py cannot be read" in run(tmp_path, folder, code=1)[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("ab_test", "--n", "0"),
        ("ab_test", "--repeat", "x"),
        ("ab_test", "--plot", "run.pdf"),
        ("ab_test", "--with", "x"),
        (),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert "usage:" in run(tmp_path, *arguments, code=2)[1]
