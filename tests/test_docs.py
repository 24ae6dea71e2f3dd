"""Documents and code say the same: settings and calls are documented, and what the documents say to run runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tornado.web import RequestHandler

from app.config import SETTINGS
from app.dialects.streamingbandit import wire
from app.dialects.streamingbandit.routes import ROUTES
from app.http import files
from app.ops import health
from tests.servers import PASSWORD, Experiment, Researcher, Server

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_CALL = re.compile(r"``(GET|POST|PUT|DELETE) (/[^\s`]*)``")
_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w+)\n(?: +:caption: (?P<caption>.+)\n)?\n"
    r"(?P<text>(?:(?P=indent) {3}.*\n|\n)+)",
    re.M,
)
# The tutorial's policy under another name: the calls in the documents fit it.
BUTTONS = json.loads(
    re.search(r"buttons\.json\n\n(.*?)\n\S", (DOCS / "tutorial.rst").read_text(), re.S)[1]  # type: ignore[index]
)
_CURL = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }\n'


def blocks(page: str) -> list[tuple[str, str, str]]:
    """The code of a page: language, caption, text."""
    found = _BLOCK.finditer((DOCS / f"{page}.rst").read_text())
    return [
        (block["language"], block["caption"] or "", textwrap.dedent(block["text"]).strip() + "\n") for block in found
    ]


# Settings -----------------------------------------------------------------------------------------------------------


def test_every_setting_is_documented_with_its_default_and_no_other_is() -> None:
    text = (DOCS / "configuration.rst").read_text()
    documented = dict(re.findall(r"^``([\w.]+)`` \(.*; default (.+)\)$", text, re.M))
    assert list(documented) == [setting.name for setting in SETTINGS]
    for setting in SETTINGS:
        shown = documented[setting.name]
        assert ("" if shown == "empty" else yaml.safe_load(shown.strip("`"))) == setting.default, setting.name


# Calls --------------------------------------------------------------------------------------------------------------


def test_every_call_is_documented_and_no_other_is() -> None:
    routes = [*ROUTES, *health.ROUTES, *files.ROUTES]
    there = {
        (method.upper(), pattern)
        for pattern, handler in routes
        for method in ("get", "post", "put", "delete")
        if getattr(handler, method, None) not in (None, getattr(RequestHandler, method))
    }
    documented = set()
    for method, path in _CALL.findall((DOCS / "api.rst").read_text()):
        example = re.sub(r"\bN\b", "1", path).replace("DEFAULT_ID", "3").replace("EXP_ID", "4f67477b631a")
        pattern = next((pattern for pattern, _ in routes if re.fullmatch(pattern, example)), path)
        documented.add((method, pattern))
    assert documented == there


@pytest.mark.parametrize(
    ("log", "columns"),
    [
        ("actionlog", wire.ACTION_COLUMNS),
        ("decisions", wire.DECISION_COLUMNS),
        ("rewardlog", wire.REWARD_COLUMNS),
        ("errors", wire.ERROR_COLUMNS),
        ("simulationlog", wire.RUN_COLUMNS),
    ],
)
def test_the_columns_of_a_log_are_documented_in_their_order(log: str, columns: tuple[str, ...]) -> None:
    text = (DOCS / "statistics.rst").read_text()
    paragraph = re.search(rf"^{log}\n((?:    .*\n)+)", text, re.M)
    assert paragraph
    listed = paragraph[1].replace("\n", " ").split(".")[0]
    assert tuple(re.findall(r"``(\w+)``", listed)) == columns


# Commands -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def demo(server: Server) -> Iterator[Researcher]:
    """The administrator demo of the documents; removed again, as the page about the API changes the password."""
    server.add_account("demo", admin=True)
    with Researcher(server.client(), "demo") as somebody:
        yield somebody
    server.run("user", "remove", "demo")


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="the documents use curl in a shell")
@pytest.mark.parametrize("page", ["tutorial", "statistics", "api", "simulation"])
def test_the_commands_of_a_page_work(page: str, server: Server, demo: Researcher, tmp_path: Path) -> None:
    experiment = demo.create(f"experiment of {page}", **{k: v for k, v in BUTTONS.items() if k != "name"})
    advice = experiment.get_action().json()["advice_id"]
    other = demo.create(f"another of {page}")
    names = {
        "URL": server.url,
        "PASSWORD": PASSWORD,
        "ID": experiment.id,
        "KEY": experiment.key,
        "ADVICE": advice,
        "OTHER": other.id,
    }
    commands = [f"{name}='{value}'\n" for name, value in names.items()] + [_CURL]
    if page != "tutorial":  # it signs in by itself
        commands.append("""curl -c cookies "$URL/login" -d '{"username": "demo", "password": "'"$PASSWORD"'"}'\n""")
    for language, caption, text in blocks(page):
        if language == "sh":
            commands.append(text)
        elif caption:
            (tmp_path / caption).parent.mkdir(exist_ok=True)
            (tmp_path / caption).write_text(text)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "".join(commands)],
        cwd=tmp_path,
        # thetaloop is where Python is, also in an environment that was not activated.
        env=os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if page == "tutorial":
        rewards = (tmp_path / "rewards.csv").read_text().splitlines()
        assert len(rewards) == 1 + 1 + 100
    if page == "simulation":
        shown = re.search(r"^::\n\n((?: {3}.*\n|\n)+)", (DOCS / "simulation.rst").read_text(), re.M)
        assert shown is not None
        assert textwrap.dedent(shown[1]).strip() in done.stdout


# Scripts ------------------------------------------------------------------------------------------------------------

SCRIPTS = [(caption, text) for language, caption, text in blocks("scripts") if language == "python" and caption]
PAIRS = list(zip(SCRIPTS[::2], SCRIPTS[1::2], strict=True))


@pytest.mark.parametrize("pair", PAIRS, ids=range(len(PAIRS)))
def test_the_scripts_of_the_page_about_scripts_run(
    pair: tuple[tuple[str, str], tuple[str, str]], researcher: Researcher
) -> None:
    assert [caption for caption, _ in pair] == ["get_action", "set_reward"]
    experiment: Experiment = researcher.create(**dict(pair))
    for _ in range(3):
        context = {"visitor": "7"}
        action = experiment.get_action(context=context)
        assert action.status_code == 200, experiment.http.get(f"/stats/{experiment.id}/errors").text
        reward = experiment.set_reward(context=context, action=action.json()["action"], reward={"value": 1})
        assert reward.status_code == 200, experiment.http.get(f"/stats/{experiment.id}/errors").text
    assert experiment.theta()


def test_a_decision_can_be_made_again_as_the_page_about_scripts_says(researcher: Researcher) -> None:
    draw = "self.action['draws'] = [float(np.random.rand()), random.random()]"
    experiment = researcher.create(get_action=draw)
    answer = experiment.get_action().json()["action"]
    row = experiment.http.get(f"/stats/{experiment.id}/actionlog").json()[0]
    replay = next(text for language, _, text in blocks("scripts") if "row[" in text)
    names = {"row": row, "np": __import__("numpy"), "random": __import__("random"), "self": type("Self", (), {})()}
    names["self"].action = {}
    exec(replay + draw, names)
    assert names["self"].action == answer


# README -------------------------------------------------------------------------------------------------------------


def test_what_the_readme_and_the_contributors_guide_point_to_is_there() -> None:
    for page in ("README.rst", "CONTRIBUTING.rst"):
        text = (ROOT / page).read_text()
        for target in re.findall(r"<([\w./]+)>`__", text) + re.findall(r"(?:tests|docs|app)/[\w/]+\.(?:py|rst)", text):
            assert (ROOT / target).exists(), (page, target)


# Where things are ---------------------------------------------------------------------------------------------------


def test_every_place_that_contributors_are_sent_to_exists() -> None:
    text = (ROOT / "CONTRIBUTING.rst").read_text()
    table = text[text.index("Where do I put ...?") : text.index("Tests mirror")]
    named = re.findall(r"``((?:app|policies|defaults|tests|docs|config)[\w/.]*)``", table)
    assert len(table.splitlines()) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_room_is_described() -> None:
    text = (DOCS / "architecture.rst").read_text()
    rooms = {path.name for path in (ROOT / "app").iterdir() if (path / "__init__.py").exists()}
    described = set(re.findall(r"^``([a-z]+)`` ", text[: text.index("The head")], re.M))
    assert described - {"policies"} == rooms
