"""The scripts in the documentation run, and every policy is documented."""

import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest

import policies
from policies.policy import Policy

PAGES = sorted((Path(__file__).parents[2] / "docs" / "policies").glob("*.rst"))
BLOCK = re.compile(r"\.\. code-block:: python\n   :caption: (\w+)\n\n((?:(?:   .*)?\n)+)")
SCRIPTS = [
    (page.name, action, reward)
    for page in PAGES
    for blocks in [BLOCK.findall(page.read_text())]
    for (_, action), (_, reward) in zip(blocks[::2], blocks[1::2], strict=True)
]


class Call:
    """What the documented scripts use of ``self``; theta goes through JSON as it does in the server."""

    def __init__(self, thetas):
        self.thetas = thetas
        self.context = {"returning": 1}
        self.action = {}
        self.reward = {"value": 0.5, "click": 1, "clicks": [1, 0]}

    def get_theta(self, key=None, value=None):
        if key is not None and value is None:
            return {v: json.loads(text) for (k, v), text in self.thetas.items() if k == key}
        return json.loads(self.thetas.get((key, value), "{}"))

    def set_theta(self, thetas, key=None, value=None):
        self.thetas[key, value] = json.dumps(thetas.get_dict(), allow_nan=False)


@pytest.mark.parametrize(("page", "action", "reward"), SCRIPTS, ids=[page for page, _, _ in SCRIPTS])
def test_documented_scripts_run(page, action, reward):
    thetas = {}
    np.random.seed(1)
    for _ in range(5):
        call = Call(thetas)
        names = {"self": call, "np": np, **policies.SCRIPT_NAMES}
        exec(inspect.cleandoc("\n" + action), names)
        assert json.dumps(call.action, allow_nan=False) != "{}"
        exec(inspect.cleandoc("\n" + reward), names)
    assert thetas


def test_every_policy_and_every_name_is_documented():
    text = "\n".join(page.read_text() for page in PAGES)
    for name, module in policies.SCRIPT_NAMES.items():
        assert f"``{name}" in text
        for kind, _ in inspect.getmembers(
            module,
            lambda member, module=module: (
                inspect.isclass(member)
                and member.__module__ == module.__name__
                and issubclass(member, Policy)
                and not inspect.isabstract(member)
            ),
        ):
            assert kind in text


def test_every_page_has_the_same_parts():
    for page in PAGES:
        if page.stem != "index":
            text = page.read_text()
            for part in ("When to use", "The maths\n", "Parameters", "Theta", "Propensity\n", "A script\n", "Papers\n"):
                assert part in text or part.lower() in text.lower(), (page.name, part)
